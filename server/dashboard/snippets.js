// What to paste into a terminal or a program to send the first event. Pure text.

const shellQuoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
const rustQuoted = (text) => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;

/** A grpcurl call that sends one event. */
export function grpcurl({ secure, endpoint, key, name, actor, properties }) {
  const event = { name, anonymousId: actor };
  if (Object.keys(properties).length > 0) event.plainProperties = properties;
  return [
    `grpcurl${secure ? '' : ' -plaintext'} \\`,
    `  -H ${shellQuoted(`authorization: Bearer ${key}`)} \\`,
    `  -d ${shellQuoted(JSON.stringify({ events: [event] }))} \\`,
    `  ${endpoint} footpath.v1.IngestService/Ingest`,
  ].join('\n');
}

/** The same with the Rust client, which queues on disk and retries. */
export function rust({ secure, endpoint, key, project, name, actor, properties }) {
  const value = (v) => (typeof v === 'string' ? rustQuoted(v) : String(v));
  const calls = Object.entries(properties).map(([k, v]) => `.property(${rustQuoted(k)}, ${value(v)})`).join('');
  return `use footpath_client::{Client, Track};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::builder("${secure ? 'https' : 'http'}://${endpoint}", ${rustQuoted(key)})
        .project(${rustQuoted(project)})
        .queue_dir(std::env::temp_dir().join("footpath-first-event"))
        .build()?;
    client.track(Track::new(${rustQuoted(name)}).anonymous(${rustQuoted(actor)})${calls})?;
    println!("{:?}", client.flush(std::time::Duration::from_secs(10)));
    Ok(client.shutdown()?)
}`;
}

/** Properties that meet a step's conditions, where a value can be guessed from them. */
export function propertiesFor(step) {
  const properties = {};
  for (const { property, operator, values } of step?.conditions ?? []) {
    const name = operator.replace('CONDITION_OPERATOR_', '');
    const number = Number(values[0]);
    if (name === 'IS_NOT_SET') continue;
    if (name.endsWith('_OR_EQUAL')) properties[property] = number;
    else if (name === 'GREATER') properties[property] = number + 1;
    else if (name === 'LESS') properties[property] = number - 1;
    else if (name === 'NOT_EQUALS') properties[property] = `not ${values[0]}`;
    else properties[property] = values[0] ?? 'set';
  }
  return properties;
}
