use footpath_model::context::{environment, names, value};

use super::*;

/// A batch of one event with these bytes as its context, sent with a key of `environment`.
fn walk_from(environment: Environment, context: &[u8]) -> Walked {
    let mut bytes = raw_batch(&[event().encode_to_vec()]);
    put_bytes(&mut bytes, 5, context);
    let limits = Limits::default();
    let mask = MaskPolicy::default();
    let ctx = WalkContext {
        project_id: "shop",
        environment,
        received_us: NOW,
        limits: &limits,
        mask,
        clocks: None,
    };
    walk_batch(&bytes, &ctx, &mut || EventId([1; 16])).unwrap()
}

/// A context in which every field holds its name.
fn all_fields() -> pb::Context {
    let of = str::to_owned;
    pb::Context {
        app: of("app"),
        app_version: of("app_version"),
        os: of("os"),
        os_version: of("os_version"),
        device_model: of("device_model"),
        locale: of("locale"),
        library: of("library"),
        library_version: of("library_version"),
        campaign: Some(pb::Campaign {
            source: of("campaign.source"),
            medium: of("campaign.medium"),
            name: of("campaign.name"),
            term: of("campaign.term"),
            content: of("campaign.content"),
        }),
        time_zone: of("time_zone"),
    }
}

#[test]
fn every_field_is_read_by_its_name_and_the_environment_is_the_keys() {
    for key in [Environment::Prod, Environment::Staging, Environment::Dev] {
        let walked = walk_from(key, &all_fields().encode_to_vec());
        for name in names() {
            let wanted = if name == "environment" { key.name() } else { name };
            assert_eq!(value(&walked.context, name), Some(wanted));
        }
    }
}

#[test]
fn production_adds_nothing_and_others_need_no_context_of_the_client() {
    let sent = all_fields().encode_to_vec();
    assert_eq!(walk_from(Environment::Prod, &sent).context, sent);
    assert_eq!(environment(&walk_from(Environment::Dev, &[]).context), "dev");
    let none = walk(&raw_batch(&[event().encode_to_vec()])).unwrap();
    assert_eq!((none.context.as_slice(), environment(&none.context)), (&b""[..], "prod"));
}

#[test]
fn what_a_client_sends_as_the_environment_is_not_taken() {
    let (mut dev, mut twice, mut invalid) = (Vec::new(), Vec::new(), Vec::new());
    put_bytes(&mut dev, 11, b"dev");
    (0..2).for_each(|_| put_bytes(&mut twice, 11, b"prod"));
    put_bytes(&mut invalid, 11, b"\xff\xff");
    let number = vec![11 << 3, 7];
    for sent in [dev, twice, invalid, number] {
        for key in [Environment::Prod, Environment::Staging] {
            let walked = walk_from(key, &sent);
            assert_eq!((walked.entries.len(), environment(&walked.context)), (1, key.name()));
            assert_eq!(walked.context, walk_from(key, &[]).context, "nothing of it is kept");
        }
    }
}

#[test]
fn there_is_room_for_the_frame_of_every_environment() {
    for key in [Environment::Prod, Environment::Dev] {
        let walked = walk_from(key, &all_fields().encode_to_vec());
        assert_eq!(walked.room, stored_prelude_bytes(&walked.context));
    }
}
