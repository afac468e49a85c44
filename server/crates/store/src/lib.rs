//! Small durable state: projects, keys, definitions, the outcome ledger.
