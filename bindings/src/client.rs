//! The client as host languages see it.

use std::sync::Arc;
use std::time::Duration;

use footpath_client::{Changes, Client, Courier, EventId, HttpAnswer, KeyError, Outcome, PropertyValue};

use crate::config::{Config, KeyFailure, KeyStore, ProblemListener};
use crate::slots;
use crate::types::{Batch, ClientError, Consent, Delivery, FlushResult, Receipt, Stats, Who};

/// Tracks events and delivers them. Made at once: the storage is opened by the client's own thread.
#[derive(uniffi::Object)]
pub struct FootpathClient {
    client: Client,
    courier: Courier,
    handle: u64,
}

impl std::fmt::Debug for FootpathClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.client.fmt(f)
    }
}

#[uniffi::export]
impl FootpathClient {
    /// Starts a client.
    #[uniffi::constructor]
    pub fn new(
        config: Config,
        listener: Option<Arc<dyn ProblemListener>>,
        keys: Option<Arc<dyn KeyStore>>,
    ) -> Result<Arc<Self>, ClientError> {
        let client = config.build(listener, keys)?;
        let handle = slots::add(client.clone());
        Ok(Arc::new(Self { courier: client.courier(), client, handle }))
    }

    /// What `footpath_track` takes as its first argument.
    pub fn track_handle(&self) -> u64 {
        self.handle
    }

    /// Takes an event and answers its id: the slow way, for those who need the id.
    pub fn track(&self, frame: Vec<u8>, delivery: Delivery) -> Result<String, ClientError> {
        Ok(self.client.track_frame(&frame, delivery.into())?.to_string())
    }

    /// Waits until a critical event is on the disk, or the time is up.
    pub fn wait_queued(&self, event_id: String, timeout_ms: u64) -> Result<Option<Receipt>, ClientError> {
        Ok(self.client.receipt(id(&event_id)?).queued(millis(timeout_ms)).map(Into::into))
    }

    /// Waits until the server has a critical event or will never take it. When the time is up: how far it has come.
    pub fn wait_delivered(&self, event_id: String, timeout_ms: u64) -> Result<Option<Receipt>, ClientError> {
        Ok(self.client.receipt(id(&event_id)?).delivered(millis(timeout_ms)).map(Into::into))
    }

    /// As `waitQueued`, without a thread that waits. It can be cancelled.
    pub async fn queued(&self, event_id: String, timeout_ms: u64) -> Result<Option<Receipt>, ClientError> {
        let answer = self.client.receipt(id(&event_id)?).queued_async(millis(timeout_ms));
        Ok(answer.await.map(Into::into))
    }

    /// As `waitDelivered`, without a thread that waits. It can be cancelled.
    pub async fn delivered(&self, event_id: String, timeout_ms: u64) -> Result<Option<Receipt>, ClientError> {
        let answer = self.client.receipt(id(&event_id)?).delivered_async(millis(timeout_ms));
        Ok(answer.await.map(Into::into))
    }

    /// Says who the person is. `person`: an encoded `footpath.v1.PropertyChanges`, or nothing.
    pub fn identify(&self, user_id: String, person: Vec<u8>) -> Result<(), ClientError> {
        Ok(self.client.identify(user_id, Changes::encoded(person))?)
    }

    /// What a backend does instead: says that the person behind an anonymous id is a user.
    pub fn link(&self, anonymous_id: String, user_id: String, person: Vec<u8>) -> Result<(), ClientError> {
        self.client.link(anonymous_id, user_id, Changes::encoded(person))?;
        Ok(())
    }

    /// Gives the person another name.
    pub fn alias(&self, name: String) -> Result<(), ClientError> {
        Ok(self.client.alias(name)?)
    }

    /// Forgets the person, as after a logout.
    pub fn reset(&self) -> Result<(), ClientError> {
        Ok(self.client.reset()?)
    }

    /// Sets a property of every later event. `value`: an encoded `footpath.v1.Value`.
    pub fn register(&self, key: String, value: Vec<u8>) -> Result<(), ClientError> {
        Ok(self.client.register(key, PropertyValue::Encoded(value))?)
    }

    /// Takes a shared property away again.
    pub fn unregister(&self, key: String) -> Result<(), ClientError> {
        Ok(self.client.unregister(key)?)
    }

    /// The next event begins a new session.
    pub fn end_session(&self) -> Result<(), ClientError> {
        Ok(self.client.end_session()?)
    }

    /// What the person allows.
    pub fn set_consent(&self, consent: Consent) -> Result<(), ClientError> {
        Ok(self.client.set_consent(consent.into())?)
    }

    /// Asks the server to delete what it knows of the person.
    pub fn delete_my_data(&self) -> Result<(), ClientError> {
        Ok(self.client.delete_my_data()?)
    }

    /// Asks for a copy of what the server knows of the person.
    pub fn access_my_data(&self) -> Result<(), ClientError> {
        Ok(self.client.access_my_data()?)
    }

    /// Whether the storage is open: from then on, what was taken outlives the process.
    pub fn is_open(&self) -> bool {
        self.client.is_open()
    }

    /// Whom events belong to now, and what that person allows; none for a backend and until the storage is open.
    pub fn who(&self) -> Option<Who> {
        self.client.who().map(Into::into)
    }

    /// Sends what was tracked so far and waits until it has reached its end, or the time is up.
    pub fn wait_flushed(&self, timeout_ms: u64) -> FlushResult {
        self.client.flush(millis(timeout_ms)).into()
    }

    /// As `waitFlushed`, without a thread that waits. It can be cancelled.
    pub async fn flush(&self, timeout_ms: u64) -> FlushResult {
        self.client.flush_async(millis(timeout_ms)).await.into()
    }

    /// For a host that carries batches: waits for the next one; none when the client has ended.
    pub fn next_batch(&self) -> Option<Batch> {
        let batch = self.courier.take()?;
        let (body, encoding) = batch.compressed();
        Some(Batch {
            body,
            content_encoding: encoding.map(str::to_owned),
            id: batch.id,
            authorization: batch.authorization,
            events: batch.events as u64,
        })
    }

    /// Gives a batch that is out away to something that outlives the process, as a phone's system does for uploads in the
    /// background: its outcome may be reported in a later run, and the next batch may be taken at once. Until then its
    /// events are not sent, for a day at most in each run. `false`: it is to be sent and reported as any other.
    pub fn detach(&self, batch_id: String) -> bool {
        self.courier.detach(&batch_id)
    }

    /// Of the batches that were given away, in this run or an earlier one, only these are still on their way: the events
    /// of the others are sent again. To be said after a start, once it is known.
    pub fn keep_detached(&self, batch_ids: Vec<String>) {
        self.courier.keep(batch_ids);
    }

    /// Seals what leaves the queue for a file, as a batch that another process is to send, with the install's key. Without a
    /// key store it gets a checksum only.
    pub fn seal(&self, bytes: Vec<u8>) -> Result<Vec<u8>, KeyFailure> {
        self.client.seal(&bytes).map_err(key_failure)
    }

    /// What `seal` has sealed, also in another process that has the same key; none for what can never be read.
    pub fn unseal(&self, bytes: Vec<u8>) -> Result<Option<Vec<u8>>, KeyFailure> {
        self.client.unseal(&bytes).map_err(key_failure)
    }

    /// Says what the server, or whatever is between, answered to a batch.
    pub fn report(
        &self,
        batch_id: String,
        status: u16,
        content_type: Option<String>,
        retry_after: Option<String>,
        body: Vec<u8>,
    ) {
        let answer = HttpAnswer {
            status,
            content_type: content_type.as_deref(),
            retry_after: retry_after.as_deref(),
            body: &body,
        };
        self.courier.report(&batch_id, Outcome::of_http(&answer));
    }

    /// Says that a batch got no answer: no connection, a timeout, a broken stream.
    pub fn report_failure(&self, batch_id: String, message: String) {
        self.courier.report(&batch_id, Outcome::Broken(message));
    }

    /// Stops sending, for example while the device is offline. Events are taken and kept.
    pub fn hold(&self) {
        self.client.hold();
    }

    /// Sends at once, also during a backoff, unless delivery is paused or held: what a callback about connectivity calls.
    pub fn try_now(&self) {
        self.client.try_now();
    }

    /// Goes on sending at once.
    pub fn resume(&self) {
        self.client.resume();
    }

    /// Sends with another project key from now on.
    pub fn set_key(&self, key: String) {
        self.client.set_key(key);
    }

    /// Spends little from now on, or no longer.
    pub fn save_data(&self, saving: bool) {
        self.client.save_data(saving);
    }

    /// What this client has done so far.
    pub fn stats(&self) -> Stats {
        self.client.stats().into()
    }

    /// Saves everything that was tracked and ends the client; answers what could not be saved, in words.
    pub fn shutdown(&self) -> Option<String> {
        drop(slots::remove(self.handle));
        self.client.shutdown().err().map(|error| error.to_string())
    }
}

impl Drop for FootpathClient {
    fn drop(&mut self) {
        drop(slots::remove(self.handle));
    }
}

fn id(text: &str) -> Result<EventId, ClientError> {
    text.parse().map_err(|()| ClientError::Invalid { why: format!("\"{text}\" is no event id") })
}

fn key_failure(error: KeyError) -> KeyFailure {
    KeyFailure::NotNow { why: error.0 }
}

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
