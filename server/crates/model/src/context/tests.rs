use super::*;

fn context(environment: Environment) -> Vec<u8> {
    let (mut context, mut campaign) = (Vec::new(), Vec::new());
    put_bytes(&mut context, 3, b"ios");
    put_bytes(&mut context, 6, b"");
    put_bytes(&mut campaign, 1, b"newsletter");
    put_bytes(&mut context, 9, &campaign);
    put_bytes(&mut context, 10, b"Europe/Zurich");
    put_environment(&mut context, environment);
    context
}

#[test]
fn fields_are_read_by_the_names_of_the_api() {
    let context = context(Environment::Dev);
    let all = [
        ("os", Some("ios")),
        ("campaign.source", Some("newsletter")),
        ("time_zone", Some("Europe/Zurich")),
        ("environment", Some("dev")),
        ("locale", None),
        ("app", None),
        ("campaign.medium", None),
        ("campaign", None),
        ("campaigns", None),
        ("Environment", None),
        ("", None),
    ];
    for (name, wanted) in all {
        assert_eq!(value(&context, name), wanted, "{name}");
    }
}

#[test]
fn what_is_shown_is_what_is_read() {
    for environment in [Environment::Prod, Environment::Staging, Environment::Dev] {
        let context = context(environment);
        let mut shown = Vec::new();
        each_value(&context, &mut |name, text| shown.push((name, text.to_vec())));
        let read = names().filter_map(|name| Some((name, value(&context, name)?.as_bytes().to_vec())));
        let mut read: Vec<_> = read.collect();
        shown.sort();
        read.sort();
        assert_eq!(shown, read);
        assert_eq!(shown.len(), 4);
    }
}

#[test]
fn production_is_left_out_and_what_says_nothing_is_production() {
    let mut none = Vec::new();
    put_environment(&mut none, Environment::Prod);
    assert_eq!((none.as_slice(), environment(&none)), (&b""[..], "prod"));
    for one in [Environment::Prod, Environment::Staging, Environment::Dev] {
        assert_eq!(environment(&context(one)), one.name());
        assert_eq!(
            serde_json::to_string(&one).unwrap(),
            format!("\"{one}\""),
            "stored keys keep their names"
        );
    }
}
