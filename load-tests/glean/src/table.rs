use anyhow::Result;
use serde_json::Value;
pub fn print(_r: usize) -> Result<()> { Ok(()) }
pub fn survive(_r: &crate::Run) -> Result<Value> { Ok(Value::Null) }
