//! The first event. `cargo run -p footpath-client --example first_event -- <project key>`
use footpath_client::{Client, Track};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let key = std::env::args().nth(1).ok_or("give the project key")?;
    let client = Client::builder("http://127.0.0.1:7400", key)
        .project("demo")
        .queue_dir(std::env::temp_dir().join("footpath-first-event"))
        .build()?;
    client.track(Track::new("first_event").anonymous("me").property("answer", 42))?;
    println!("{:?}", client.flush(std::time::Duration::from_secs(10)));
    Ok(client.shutdown()?)
}
