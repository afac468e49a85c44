//! The graph against a list of pointer changes from which everything is computed anew.

use proptest::prelude::*;

use super::*;

/// Few ids, so that everything collides.
const IDS: u64 = 7;

#[derive(Debug, Clone, Copy)]
enum Step {
    Identify(u64, u64),
    Alias(u64, u64),
    Merge(u64, u64),
    Unmerge(u64),
    /// Goes on with the graph that its bytes give.
    Image,
}

fn step() -> impl Strategy<Value = Step> {
    let ids = || (0..IDS, 0..IDS);
    prop_oneof![
        4 => ids().prop_map(|(a, b)| Step::Identify(a, b)),
        2 => ids().prop_map(|(a, b)| Step::Alias(a, b)),
        2 => ids().prop_map(|(a, b)| Step::Merge(a, b)),
        3 => (0..IDS).prop_map(Step::Unmerge),
        1 => Just(Step::Image),
    ]
}

/// `(id, where it points, by what)`, oldest first.
#[derive(Debug, Clone, Default)]
struct Naive(Vec<(u64, Option<u64>, Cause)>);

impl Naive {
    fn pointer(&self, id: u64, epoch: usize) -> Option<(u64, Cause)> {
        let newest = self.0[..epoch.min(self.0.len())].iter().rfind(|change| change.0 == id)?;
        newest.1.map(|parent| (parent, newest.2))
    }

    fn root(&self, id: u64, epoch: usize) -> u64 {
        self.pointer(id, epoch).map_or(id, |(parent, _)| self.root(parent, epoch))
    }

    fn now(&self, id: u64) -> u64 {
        self.root(id, self.0.len())
    }

    fn persons(&self, epoch: usize) -> Vec<u64> {
        (0..IDS).map(|id| self.root(id, epoch)).collect()
    }

    fn was_pointed_at(&self, id: u64) -> bool {
        self.0.iter().any(|change| change.1 == Some(id))
    }

    fn may_join_by_itself(&self, id: u64) -> bool {
        self.now(id) == id && !self.was_pointed_at(id)
    }

    /// Whether the step changes something, and how.
    fn change(&self, step: Step) -> Option<(u64, Option<u64>, Cause)> {
        let two = |a, b| self.now(a) != self.now(b);
        match step {
            Step::Identify(a, u) => {
                let by = self.pointer(u, self.0.len()).map(|(_, by)| by);
                let user = by != Some(Cause::Identify) || self.was_pointed_at(u);
                let joins = two(a, u) && self.may_join_by_itself(a) && user;
                joins.then_some((a, Some(u), Cause::Identify))
            }
            Step::Alias(person, name) => {
                let joins = two(person, name) && self.may_join_by_itself(name);
                joins.then_some((name, Some(person), Cause::Alias))
            }
            Step::Merge(from, into) => two(from, into).then(|| (self.now(from), Some(into), Cause::Merge)),
            Step::Unmerge(id) => (self.now(id) != id).then_some((id, None, Cause::Unmerge)),
            Step::Image => None,
        }
    }
}

fn apply(graph: &mut IdentityGraph, step: Step) -> Option<Outcome> {
    let key = ActorKey;
    Some(match step {
        Step::Identify(a, u) => graph.identify(key(a), key(u)),
        Step::Alias(person, name) => graph.alias(key(person), key(name)),
        Step::Merge(from, into) => graph.merge(key(from), key(into)),
        Step::Unmerge(id) => graph.unmerge(key(id)),
        Step::Image => {
            *graph = through_bytes(graph);
            return None;
        }
    })
}

fn through_bytes(graph: &IdentityGraph) -> IdentityGraph {
    let mut bytes = Vec::new();
    graph.encode(&mut bytes);
    bytes.push(7);
    for cut in [0, bytes.len() / 2, bytes.len() - 2] {
        assert!(IdentityGraph::decode(&mut &bytes[..cut]).is_err());
    }
    let mut rest = bytes.as_slice();
    let again = IdentityGraph::decode(&mut rest).unwrap();
    assert_eq!(rest, [7]);
    again
}

fn sorted(ids: impl IntoIterator<Item = ActorKey>) -> Vec<u64> {
    let mut ids: Vec<_> = ids.into_iter().map(|id| id.0).collect();
    ids.sort_unstable();
    ids
}

/// Ids of each other's persons, before and after one step.
fn check_outcome(outcome: &Outcome, before: &[u64], naive: &Naive, changes: bool) {
    let after = naive.persons(naive.0.len());
    let Outcome::Moved(moved) = outcome else { return assert!(!changes, "{outcome:?}") };
    assert!(changes, "{outcome:?}");
    let went = (0..IDS).filter(|id| before[*id as usize] != after[*id as usize]);
    assert_eq!(sorted(moved.ids.iter().copied()), went.clone().collect::<Vec<_>>());
    assert!(went.clone().all(|id| before[id as usize] == moved.from_root.0));
    assert!(went.clone().all(|id| after[id as usize] == moved.to_root.0));
    assert_eq!(moved.epoch, naive.0.len() as u64);
    let persons =
        |roots: &[u64]| sorted(roots.iter().map(|root| ActorKey(*root))).chunk_by(|a, b| a == b).count();
    assert_eq!(moved.is_split(), persons(&after) > persons(before));
}

fn check_epoch(graph: &IdentityGraph, naive: &Naive, epoch: usize) {
    let then = graph.as_of(epoch as u64);
    for id in 0..IDS {
        let root = ActorKey(naive.root(id, epoch));
        assert_eq!(then.canonical(ActorKey(id)), root);
        // Every id below this one, not only below roots.
        let below = (0..IDS).filter(|other| other != &id && climbs_to(naive, *other, id, epoch));
        let below: Vec<_> = below.collect();
        assert_eq!(sorted(then.members(ActorKey(id))), below);
    }
}

fn climbs_to(naive: &Naive, from: u64, to: u64, epoch: usize) -> bool {
    from == to || naive.pointer(from, epoch).is_some_and(|(parent, _)| climbs_to(naive, parent, to, epoch))
}

proptest! {
    #[test]
    fn any_sequence_equals_the_list_of_its_changes(steps in prop::collection::vec(step(), 0..40)) {
        let (mut graph, mut naive) = (IdentityGraph::new(), Naive::default());
        for step in steps {
            let (before, change) = (naive.persons(naive.0.len()), naive.change(step));
            let known = (0..IDS).map(ActorKey).filter(|id| graph.is_known_user(*id));
            let users: Vec<_> = known.map(|id| (id, graph.canonical(id))).collect();
            naive.0.extend(change);
            if let Some(outcome) = apply(&mut graph, step) {
                check_outcome(&outcome, &before, &naive, change.is_some());
            }
            if matches!(step, Step::Identify(..) | Step::Alias(..)) {
                prop_assert!(users.iter().all(|(id, person)| graph.canonical(*id) == *person), "a user moved");
            }
            prop_assert_eq!(graph.epoch(), naive.0.len() as u64);
            for id in 0..IDS {
                prop_assert_eq!(graph.canonical(ActorKey(id)).0, naive.now(id));
                prop_assert_eq!(graph.is_known_user(ActorKey(id)), naive.was_pointed_at(id));
                let size = (0..IDS).filter(|other| naive.now(*other) == naive.now(id)).count();
                prop_assert_eq!(graph.merge_size(ActorKey(id)), size);
            }
        }
        let changes: Vec<_> = graph.changes_between(0, graph.epoch()).collect();
        let listed: Vec<_> = changes.iter().map(|c| (c.id.0, c.parent.map(|p| p.0), c.cause)).collect();
        prop_assert_eq!(&listed, &naive.0);
        for epoch in 0..=naive.0.len() + 1 {
            check_epoch(&graph, &naive, epoch);
        }
    }

    #[test]
    fn random_bytes_never_panic(mut bytes: Vec<u8>, ids in 0_u8..5, step in step()) {
        // Sometimes as if they began with a version and a few ids.
        let mut graph = vec![FORMAT, ids];
        (0..u64::from(ids)).for_each(|id| graph.extend(id.to_le_bytes()));
        bytes.iter_mut().for_each(|byte| *byte %= 24);
        graph.extend_from_slice(&bytes);
        for bytes in [&bytes, &graph] {
            if let Ok(mut graph) = IdentityGraph::decode(&mut bytes.as_slice()) {
                apply(&mut graph, step);
                for id in 0..IDS {
                    graph.members(ActorKey(id)).for_each(drop);
                }
            }
        }
    }
}
