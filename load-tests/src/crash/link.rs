//! What senders share: where the server is, whether to make new batches, and the books.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;
use tonic::Request;

use super::books::Books;

/// See the module.
#[derive(Debug)]
pub struct Link {
    /// The project key.
    pub key: String,
    up: watch::Sender<Option<String>>,
    producing: watch::Sender<bool>,
    books: Mutex<Books>,
    first_ack: Mutex<Option<Instant>>,
}

impl Link {
    /// No server yet, nothing produced.
    pub fn new(key: String) -> Self {
        Self {
            key,
            up: watch::Sender::new(None),
            producing: watch::Sender::new(false),
            books: Mutex::default(),
            first_ack: Mutex::default(),
        }
    }

    /// The books; never held across a wait.
    pub fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Senders may make new batches.
    pub fn produce(&self, on: bool) {
        self.producing.send_replace(on);
    }

    /// Whether senders may make new batches.
    pub fn is_producing(&self) -> bool {
        *self.producing.borrow()
    }

    /// The server is gone.
    pub fn down(&self) {
        self.up.send_replace(None);
    }

    /// The server is back.
    pub fn set_up(&self, url: String) {
        *self.first_ack.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.up.send_replace(Some(url));
    }

    /// The server's URL, once there is a server.
    pub async fn url(&self) -> String {
        let mut up = self.up.subscribe();
        let found = up.wait_for(Option::is_some).await.ok().and_then(|url| url.clone());
        match found {
            Some(url) => url,
            None => std::future::pending().await, // The sender lives as long as this does.
        }
    }

    /// An answer came.
    pub fn answered(&self) {
        let mut first = self.first_ack.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(Instant::now);
    }

    /// When the first answer since the last start came.
    pub fn first_ack(&self) -> Option<Instant> {
        *self.first_ack.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request with a bearer credential.
pub fn with<T>(credential: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Ok(value) = format!("Bearer {credential}").parse() {
        request.metadata_mut().insert("authorization", value);
    }
    request
}
