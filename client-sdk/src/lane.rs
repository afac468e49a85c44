//! Lanes: which of an install's 256 number sequences an event belongs to.

use xxhash_rust::xxh3::Xxh3;

/// The lane of an actor: xxh3_64 over the project id, one zero byte and the actor, mod 256. The server
/// computes the same, in every deployment, for ever.
pub fn lane(project: &str, actor: &str) -> u8 {
    let mut hash = Xxh3::new();
    hash.update(project.as_bytes());
    hash.update(&[0]);
    hash.update(actor.as_bytes());
    (hash.digest() % 256) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_hash_of_the_joined_bytes() {
        for actor in ["", "u1", "a-much-longer-actor-id-that-needs-more-than-one-block-of-the-hash-function"]
        {
            let joined = [b"demo".as_slice(), &[0], actor.as_bytes()].concat();
            assert_eq!(u64::from(lane("demo", actor)), xxhash_rust::xxh3::xxh3_64(&joined) % 256);
        }
    }
}
