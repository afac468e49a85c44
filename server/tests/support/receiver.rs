//! A receiver of webhooks.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

/// Listens and answers with this status: its URL, and of every request the head in lower case and the body.
pub fn receiver(status: &'static str) -> (String, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hooks/key", listener.local_addr().unwrap());
    let (sender, requests) = channel();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let request = answer(&mut socket.unwrap(), status);
            if sender.send(request).is_err() {
                return;
            }
        }
    });
    (url, requests)
}

fn answer(socket: &mut TcpStream, status: &str) -> (String, String) {
    let (mut bytes, mut page) = (Vec::new(), [0; 4096]);
    loop {
        let read = socket.read(&mut page).unwrap();
        bytes.extend_from_slice(&page[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() >= length.trim().parse().unwrap() {
                write!(socket, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    .unwrap();
                return (head, body.to_owned());
            }
        }
        assert!(read > 0, "the request was cut");
    }
}
