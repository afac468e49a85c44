//! The rules, case by case, as `docs/semantics.md` tells them.

use super::*;

const A: ActorKey = ActorKey(1);
const B: ActorKey = ActorKey(2);
const C: ActorKey = ActorKey(3);
const U: ActorKey = ActorKey(10);
const V: ActorKey = ActorKey(11);

fn moved(epoch: u64, from_root: ActorKey, to_root: ActorKey, ids: &[ActorKey]) -> Outcome {
    Outcome::Moved(Moved { epoch, from_root, to_root, ids: ids.to_vec() })
}

fn members(graph: &IdentityGraph, root: ActorKey) -> Vec<ActorKey> {
    graph.members(root).collect()
}

/// A and B are U's, C is V's.
fn two_persons() -> IdentityGraph {
    let mut graph = IdentityGraph::new();
    graph.identify(A, U);
    graph.identify(B, U);
    graph.identify(C, V);
    graph
}

#[test]
fn anonymous_history_joins_the_user() {
    let mut graph = IdentityGraph::new();
    assert_eq!(graph.canonical(A), A);
    assert_eq!(graph.identify(A, U), moved(1, A, U, &[A]));
    assert_eq!(graph.identify(B, U), moved(2, B, U, &[B]));
    assert_eq!([A, B, U, V].map(|actor| graph.canonical(actor)), [U, U, U, V]);
    assert_eq!(members(&graph, U), [A, B]);
    assert_eq!(graph.pointer(A), Some((U, Cause::Identify)));
}

#[test]
fn the_first_link_wins() {
    let mut graph = IdentityGraph::new();
    graph.identify(A, U);
    assert_eq!(graph.identify(A, U), Outcome::AlreadyOne);
    assert_eq!(graph.identify(A, V), Outcome::Refused(Refusal::Conflict { owner: U }));
    assert_eq!((graph.canonical(A), graph.epoch()), (U, 1));
    assert!(members(&graph, V).is_empty());
}

#[test]
fn identify_never_merges_known_users_and_one_without_a_link_can_be_claimed() {
    let mut graph = two_persons();
    assert_eq!(graph.identify(U, V), Outcome::Refused(Refusal::BothUsers));
    assert_eq!(graph.identify(V, U), Outcome::Refused(Refusal::BothUsers));
    assert_eq!(graph.identify(C, A), Outcome::Refused(Refusal::Conflict { owner: V }));
    let anonymous = Outcome::Refused(Refusal::UserIsAnonymous { owner: U });
    assert_eq!(graph.identify(ActorKey(4), A), anonymous);
    assert_eq!(graph.identify(U, U), Outcome::AlreadyOne);
    assert_eq!(graph.epoch(), 3);
    assert_eq!(graph.identify(ActorKey(12), U), moved(4, ActorKey(12), U, &[ActorKey(12)]));
}

#[test]
fn an_alias_is_a_new_name_and_goes_on_as_a_user_id() {
    let mut graph = two_persons();
    let (name, device) = (ActorKey(20), ActorKey(21));
    assert_eq!(graph.alias(A, name), moved(4, name, U, &[name]));
    assert_eq!(graph.pointer(name), Some((A, Cause::Alias)));
    assert_eq!(graph.alias(U, name), Outcome::AlreadyOne);
    assert_eq!(graph.alias(V, name), Outcome::Refused(Refusal::Conflict { owner: U }));
    assert_eq!(graph.alias(V, U), Outcome::Refused(Refusal::BothUsers));
    assert_eq!(graph.alias(V, A), Outcome::Refused(Refusal::Conflict { owner: U }));
    assert_eq!(graph.identify(device, name), moved(5, device, U, &[device]));
    assert_eq!(members(&graph, U), [A, name, device, B]);
}

#[test]
fn a_merge_takes_the_whole_person_along_whichever_id_it_names() {
    let mut graph = two_persons();
    assert_eq!(graph.merge_size(A), 3);
    assert_eq!(graph.merge_size(ActorKey(99)), 1);
    assert_eq!(graph.merge(A, C), moved(4, U, V, &[U, A, B]));
    assert_eq!(graph.pointer(U), Some((C, Cause::Merge)));
    assert_eq!(members(&graph, V), [C, U, A, B]);
    assert_eq!(graph.merge(V, B), Outcome::AlreadyOne);
    // A user that was merged away is still a user: its new devices are the other's.
    let device = ActorKey(20);
    assert_eq!(graph.identify(device, U), moved(5, device, V, &[device]));
}

#[test]
fn an_unmerge_undoes_exactly() {
    let mut graph = two_persons();
    graph.merge(U, V);
    assert_eq!(graph.unmerge(U), moved(5, V, U, &[U, A, B]));
    assert!(graph.unmerge(A).moved().unwrap().is_split());
    assert_eq!([A, B, C].map(|actor| graph.canonical(actor)), [A, U, V]);
    assert_eq!(graph.unmerge(A), Outcome::Refused(Refusal::NotLinked));
    assert_eq!(graph.unmerge(V), Outcome::Refused(Refusal::NotLinked));
    assert_eq!(graph.unmerge(ActorKey(99)), Outcome::Refused(Refusal::UnknownId));
    assert_eq!(graph.identify(A, V), moved(7, A, V, &[A]));
}

#[test]
fn an_unmerge_in_the_middle_keeps_what_is_below_together() {
    let mut graph = two_persons();
    graph.merge(U, C);
    assert_eq!(graph.unmerge(C), moved(5, V, C, &[C, U, A, B]));
    assert_eq!(members(&graph, V), []);
    assert_eq!(graph.pointer(U), Some((C, Cause::Merge)));
    // V was a user once and stays one.
    assert_eq!(graph.identify(V, U), Outcome::Refused(Refusal::BothUsers));
}

#[test]
fn earlier_epochs_answer_as_they_did() {
    let mut graph = two_persons();
    graph.merge(U, V);
    graph.unmerge(B);
    graph.unmerge(U);
    let whose_is_b: Vec<_> = (0..=7).map(|epoch| graph.as_of(epoch).canonical(B)).collect();
    assert_eq!(whose_is_b, [B, B, U, U, V, B, B, B]);
    let changes: Vec<_> = graph.changes_between(3, 5).collect();
    let merge = PointerChange { epoch: 4, id: U, parent: Some(V), cause: Cause::Merge };
    let unmerge = PointerChange { epoch: 5, id: B, parent: None, cause: Cause::Unmerge };
    assert_eq!(changes, [merge, unmerge]);
    assert_eq!(graph.changes_between(5, 3).count(), 0);
    assert_eq!(graph.changes_between(0, u64::MAX).count(), 6);
}

#[test]
fn a_refusal_says_why() {
    let texts = [
        (Refusal::Poison(PoisonId::Zeros), "id_invalid", "the id is all zeros"),
        (
            Refusal::Conflict { owner: U },
            "id_taken",
            "the id belongs to another person; the first link stands",
        ),
        (Refusal::BothUsers, "both_users", "both ids are known users; only a merge joins them"),
    ];
    for (refusal, name, text) in texts {
        assert_eq!((refusal.name(), refusal.to_string().as_str()), (name, text));
    }
}

#[test]
fn a_long_chain_needs_no_stack_and_comes_apart_again() {
    let mut graph = IdentityGraph::new();
    for i in 0..100_000 {
        graph.alias(ActorKey(i), ActorKey(i + 1));
    }
    assert_eq!(graph.canonical(ActorKey(100_000)), ActorKey(0));
    assert_eq!(graph.members(ActorKey(0)).count(), 100_000);
    assert_eq!(graph.unmerge(ActorKey(50_000)).moved().map(|moved| moved.ids.len()), Some(50_001));
    assert_eq!(graph.as_of(100_000).members(ActorKey(0)).count(), 100_000);
}
