//! Bytes as they come in, and the memory they take. Nothing is taken for what is only announced: a promise costs its
//! maker nothing.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes, BytesMut};
use tonic::Status;

use crate::budget::{Budget, Share};
use crate::http::{Encoding, Inflated, inflate};

/// A smaller piece is copied: it would keep the whole buffer alive that it was read into.
const SMALL: usize = 4 << 10;
/// What is copied is cut here, so that it grows without being moved much.
const JOINED: usize = 64 << 10;

/// The bytes of one message or body that are here.
#[derive(Debug)]
pub struct Pieces {
    budget: Budget,
    share: Option<Share>,
    list: VecDeque<Bytes>,
    /// The last small pieces, copied together; behind `list`.
    joined: BytesMut,
    bytes: usize,
}

impl Pieces {
    /// Nothing yet; memory comes from `budget`.
    pub fn new(budget: &Budget) -> Self {
        let (list, joined) = (VecDeque::new(), BytesMut::new());
        Self { budget: budget.clone(), share: None, list, joined, bytes: 0 }
    }

    /// How many bytes are here.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes memory for `bytes` more. Two that hold some and wait for more do not wait for ever: patience ends.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED as for [`Budget::take`].
    pub async fn make_room(&mut self, bytes: usize) -> Result<(), Status> {
        let more = self.budget.take(bytes).await?;
        match &mut self.share {
            Some(share) => share.merge(more),
            None => self.share = Some(more),
        }
        Ok(())
    }

    /// Adds a piece that there is room for. The last one does not stay for long, so it is never copied.
    pub fn push(&mut self, piece: Bytes, is_last: bool) {
        self.bytes += piece.len();
        if !is_last && piece.len() < SMALL {
            self.joined.extend_from_slice(&piece);
        }
        if is_last || piece.len() >= SMALL || self.joined.len() >= JOINED {
            self.cut();
        }
        if is_last || piece.len() >= SMALL {
            self.list.push_back(piece);
        }
    }

    fn cut(&mut self) {
        if !self.joined.is_empty() {
            self.list.push_back(self.joined.split().freeze());
        }
    }

    /// The first bytes, at most `most`.
    pub fn beginning(mut self, most: usize) -> Vec<u8> {
        self.cut();
        self.list.iter().flatten().copied().take(most).collect()
    }

    /// All pieces in order, none of them empty, and what they take.
    pub fn into_list(mut self) -> (VecDeque<Bytes>, Option<Share>) {
        self.cut();
        (self.list, self.share)
    }

    /// All bytes in a row, and what they take. Copying them takes twice the memory only inside this call.
    pub fn into_bytes(mut self) -> (Bytes, Option<Share>) {
        self.cut();
        if self.list.len() == 1 {
            return (self.list.pop_front().unwrap_or_default(), self.share);
        }
        let mut whole = BytesMut::with_capacity(self.bytes);
        while let Some(piece) = self.list.pop_front() {
            whole.extend_from_slice(&piece);
        }
        (whole.freeze(), self.share)
    }

    /// What lies behind the first `skip` bytes, inflated, and what the result takes.
    ///
    /// # Errors
    /// INVALID_ARGUMENT as for [`inflate`]; RESOURCE_EXHAUSTED if there is no memory for it.
    pub async fn inflate(
        self,
        skip: usize,
        encoding: Encoding,
        limit: usize,
    ) -> Result<(Inflated, Option<Share>), Status> {
        // The result grows by doubling.
        let mut room = self.budget.take(2 * limit).await?;
        let (mut packed, _share) = self.into_bytes();
        packed.advance(skip);
        let inflated = inflate(&packed, encoding, limit)?;
        let share = match &inflated {
            Inflated::Fits(bytes) => room.split(bytes.len()),
            Inflated::TooLarge(_) => None,
        };
        Ok((inflated, share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_came_is_charged_and_comes_out_in_order() {
        let budget = Budget::new(1 << 20);
        let mut pieces = Pieces::new(&budget);
        let mut sent = Vec::new();
        let sizes = [1, SMALL - 1, SMALL, 3, 2, 20_000, 7];
        for (at, size) in sizes.into_iter().enumerate() {
            let piece = vec![at as u8; size];
            sent.extend_from_slice(&piece);
            pieces.make_room(size).await.unwrap();
            pieces.push(piece.into(), at + 1 == sizes.len());
            assert_eq!((pieces.bytes(), budget.in_use()), (sent.len(), sent.len()));
        }
        let (whole, share) = pieces.into_bytes();
        assert_eq!(whole, sent);
        assert_eq!(share.unwrap().num_permits(), sent.len());
        assert_eq!(budget.in_use(), 0);
    }

    #[test]
    fn small_pieces_do_not_keep_the_buffers_they_came_in() {
        let buffer = Bytes::from(vec![7; 1 << 20]);
        let mut pieces = Pieces::new(&Budget::new(1));
        for at in 0..2 * JOINED {
            pieces.push(buffer.slice(at..=at), false);
        }
        assert!(buffer.is_unique());
        let (list, _) = pieces.into_list();
        assert_eq!(list.iter().map(Bytes::len).collect::<Vec<_>>(), [JOINED, JOINED]);
    }

    #[test]
    fn what_is_complete_in_one_piece_is_not_copied() {
        let piece = Bytes::from(vec![7; 10]);
        let mut pieces = Pieces::new(&Budget::new(1));
        pieces.push(piece.clone(), true);
        assert_eq!(pieces.into_bytes().0.as_ptr(), piece.as_ptr());
    }

    #[test]
    fn the_beginning_spans_pieces() {
        let mut pieces = Pieces::new(&Budget::new(1));
        for piece in ["ab", "cd", "ef"] {
            pieces.push(piece.into(), false);
        }
        assert_eq!(pieces.beginning(5), b"abcde");
    }
}
