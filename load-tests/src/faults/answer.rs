//! Finds where a server's first answer begins in what it sends, so that it can be cut there.

/// The length of a frame's header in HTTP/2.
const FRAME: usize = 9;
/// The type of a frame that begins an answer.
const HEADERS: u8 = 1;

/// Reads along.
#[derive(Debug, Default)]
pub struct Answer {
    /// Bytes read so far.
    at: usize,
    /// The frame's header, as far as it was read.
    header: Vec<u8>,
    /// Bytes of a frame that are left.
    left: usize,
    begun: bool,
    /// Bytes of the answer so far.
    passed: usize,
    cut: bool,
}

impl Answer {
    /// How many of these bytes may pass if a connection ends after `after` bytes of its answer.
    pub fn passes(&mut self, bytes: &[u8], after: usize) -> usize {
        for (index, byte) in bytes.iter().enumerate() {
            if self.begun {
                self.passed += 1;
            } else {
                self.look(*byte);
            }
            // A frame's header of 9 bytes went on before its type was known; nothing can be read out of it.
            if self.begun && self.passed >= after {
                self.cut = true;
                return index.min(bytes.len());
            }
        }
        bytes.len()
    }

    /// Whether the connection is to end.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    fn look(&mut self, byte: u8) {
        self.at += 1;
        // No frame of HTTP/2 begins with an "H": it would have 4 MiB.
        if self.at == 1 && byte == b'H' {
            self.begun = true;
            return;
        }
        if self.left > 0 {
            self.left -= 1;
            return;
        }
        self.header.push(byte);
        if let [a, b, c, kind, ..] = self.header[..]
            && self.header.len() == FRAME
        {
            self.begun = kind == HEADERS;
            self.left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            self.header.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_1_begins_at_once() {
        let mut answer = Answer::default();
        assert_eq!((answer.passes(b"HTTP/1.1 200 OK", 0), answer.is_cut()), (0, true));
        let mut answer = Answer::default();
        assert_eq!((answer.passes(b"HTTP/1.1 ", 12), answer.is_cut()), (9, false));
        assert_eq!((answer.passes(b"200 OK", 12), answer.is_cut()), (3, true));
    }

    #[test]
    fn http_2_begins_with_headers() {
        let settings = [0, 0, 2, 4, 0, 0, 0, 0, 0, 7, 7];
        let headers = [0, 0, 3, 1, 4, 0, 0, 0, 1, 8, 8, 8];
        let mut answer = Answer::default();
        assert_eq!((answer.passes(&settings, 0), answer.is_cut()), (11, false));
        assert_eq!((answer.passes(&headers[..5], 0), answer.is_cut()), (5, false));
        assert_eq!((answer.passes(&headers[5..], 0), answer.is_cut()), (3, true));
    }
}
