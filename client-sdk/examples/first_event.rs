//! The first event. `cargo run -p footpath-client --example first_event -- <project key> [project]`
use footpath_client::{Client, Track};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let key = args.next().ok_or("give the project key")?;
    let client = Client::builder("http://127.0.0.1:7400", key)
        .project(args.next().unwrap_or("default".into()))
        .queue_dir(std::env::temp_dir().join("footpath-first-event"))
        .build()?;
    client.track(Track::new("first_event").anonymous("me").property("answer", 42))?;
    println!("{:?}", client.flush(std::time::Duration::from_secs(10)));
    Ok(client.shutdown()?)
}
