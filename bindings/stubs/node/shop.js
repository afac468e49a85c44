// Sends batches to Footpath with stubs generated from proto/, and watches the events arrive. docs/backends-from-stubs.md explains it.
//
//   FOOTPATH_URL=http://127.0.0.1:7400 FOOTPATH_KEY=fp_... FOOTPATH_TOKEN=... node shop.js [once | restart]
//
// "once" sends three events only; "restart" goes on until the server was away once and came back.
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { durationMs, timestampNow } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { compressionGzip, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { parse, stringify, v7 } from "uuid";
import { EventSchema } from "./gen/footpath/v1/event_pb.js";
import { IngestService } from "./gen/footpath/v1/ingest_service_pb.js";
import { LiveService } from "./gen/footpath/v1/live_service_pb.js";
import { ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";

// Makes the one connection of the process. It connects when it is first used, and again by itself.
function connect(address, caFile) {
  const ca = caFile ? readFileSync(caFile) : undefined; // The system's authorities, unless a file names one.
  const sessionManager = new Http2SessionManager(
    address,
    // Finds a dead connection within 50 s, where TCP takes a quarter of an hour.
    { pingIntervalMs: 30_000, pingTimeoutMs: 20_000 },
    { ca },
  );
  const transport = createGrpcTransport({ baseUrl: address, sessionManager, sendCompression: compressionGzip });
  return { transport, close: () => sessionManager.abort() };
}

// The project key goes with ingest, a token with watch.
const bearer = (credential) => ({ authorization: `Bearer ${credential}` });

// Gives an event its id and its time when it happens, not when it is sent: that makes retries safe.
function newEvent(name, userId, properties = {}) {
  return create(EventSchema, { rawId: parse(v7()), name, userId, time: timestampNow(), properties });
}

// Sends events until each of them is stored or refused for good. After an error keep all of them and call it again later:
// what is stored already comes back as a duplicate.
async function deliver(client, key, events, signal) {
  const result = { stored: 0, duplicates: 0, retries: 0, refused: [] };
  const parts = [events];
  for (let tries = 0; parts.length > 0; ) {
    const part = parts.shift();
    let wait = 0;
    let again = [];
    try {
      const answer = await ingest(client, key, part, signal);
      result.stored += answer.stored;
      result.duplicates += answer.duplicates;
      for (const { index, reason, message, retryable, retryAfter } of answer.refused) {
        if (retryable) {
          again.push(part[index]);
          wait = Math.max(wait, retryAfter ? durationMs(retryAfter) : 0);
        } else {
          result.refused.push({ event: part[index], reason, message }); // Log these; do not send them again.
        }
      }
    } catch (error) {
      const { reason, delay } = details(error);
      const tooLarge = reason === "batch_too_large" || reason === "too_many_events";
      if (tooLarge && part.length > 1) {
        const half = part.length >> 1;
        parts.unshift(part.slice(0, half), part.slice(half));
        continue;
      }
      if (tooLarge) {
        result.refused.push({ event: part[0], reason, message: error.message });
        continue;
      }
      if (signal.aborted || !retryable(error)) throw error;
      console.error(`try again: ${Code[error.code]} ${reason}`);
      wait = delay;
      again = part;
    }
    if (again.length === 0) {
      tries = 0;
      continue;
    }
    parts.unshift(again);
    result.retries++;
    await pause(tries++, wait, signal);
  }
  return result;
}

// Sends one batch. Without a deadline a call to a server that hangs would never end.
function ingest(client, key, events, signal) {
  const request = { context: { app: "shop", library: "stubs-node" }, events };
  return client.ingest(request, { headers: bearer(key), timeoutMs: 30_000, signal });
}

// Whether the same batch can succeed later. It may be stored already; then it comes back as duplicates. Connect calls a
// connection that broke "aborted" or "canceled", where other libraries say "unavailable"; the caller's own signal is looked at first.
function retryable(error) {
  const { code } = ConnectError.from(error);
  return [Code.Unavailable, Code.ResourceExhausted, Code.DeadlineExceeded, Code.Aborted, Code.Canceled].includes(code);
}

// The stable reason, and how long the server asks to wait, in ms.
function details(error) {
  const status = ConnectError.from(error);
  const [info] = status.findDetails(ErrorInfoSchema);
  const [retry] = status.findDetails(RetryInfoSchema);
  return { reason: info?.reason ?? "", delay: retry?.retryDelay ? durationMs(retry.retryDelay) : 0 };
}

// Waits up to 0.2 s, 0.4 s, ... 10 s, by chance, so that not all senders come back at once; never less than the server asks for.
function pause(tries, atLeast, signal) {
  const limit = Math.min(200 * 2 ** Math.min(tries, 10), 10_000);
  return sleep(atLeast + Math.random() * limit, undefined, { signal });
}

// Shows events of a name as they are stored; undefined says that the watch is open. It goes on by cursor after a restart.
async function* watch(client, token, name, signal) {
  const subscription = { id: "orders", target: { case: "events", value: { names: [name] } }, cursor: "" };
  for (let tries = 0; ; ) {
    try {
      const request = { project: "default", subscriptions: [subscription] };
      for await (const { message } of client.watch(request, { headers: bearer(token), signal })) {
        tries = 0;
        if (message.case === "started") yield undefined;
        if (message.case === "ended") throw new Error(message.value.reason);
        if (message.case === "events") {
          yield* message.value.events;
          subscription.cursor = message.value.cursor;
        }
      }
      tries++; // The server closed the stream without an error.
    } catch (error) {
      if (signal.aborted || !(error instanceof ConnectError) || !retryable(error)) throw error;
      await pause(tries++, details(error).delay, signal);
    }
  }
}

function check(what, got, wanted) {
  console.log(`${what}: ${got}`);
  if (got !== wanted) throw new Error(`${what} should be: ${wanted}`);
}

async function run(mode) {
  const signal = AbortSignal.timeout(60_000);
  const { transport, close } = connect(process.env.FOOTPATH_URL, process.env.FOOTPATH_CA);
  const client = createClient(IngestService, transport);
  const live = createClient(LiveService, transport);
  const key = process.env.FOOTPATH_KEY;
  const view = () => newEvent("view", "u-17");

  // Sends events, shows what became of them, and compares that with what should have.
  const send = async (what, events, wanted) => {
    const { stored, duplicates, refused } = await deliver(client, key, events, signal);
    const reasons = refused.map(({ reason }) => ` ${reason}`).join("");
    check(what, `stored ${stored}, duplicates ${duplicates}, refused ${refused.length}${reasons}`, wanted);
  };

  if (mode === "once") {
    await send("three events", [view(), view(), view()], "stored 3, duplicates 0, refused 0");
    return close();
  }
  const batch = [view(), newEvent("", "u-17"), view()]; // The one in the middle has no name.
  await send("a bad event among good ones", batch, "stored 2, duplicates 0, refused 1 name_missing");
  await send("the same again", batch, "stored 0, duplicates 2, refused 1 name_missing");
  const many = Array.from({ length: 10_001 }, view);
  await send("too many for one batch", many, "stored 10001, duplicates 0, refused 0");

  const events = watch(live, process.env.FOOTPATH_TOKEN, "order_paid", signal);
  await events.next(); // It is open.
  // Sends an order and waits until the watch shows it.
  const order = async (what) => {
    const event = newEvent("order_paid", "u-17", {
      total: { kind: { case: "moneyValue", value: { currency: "EUR", units: 12n, nanos: 500_000_000 } } },
      items: { kind: { case: "intValue", value: 3n } },
    });
    await send(what, [event], "stored 1, duplicates 0, refused 0");
    let seen;
    while (!seen) seen = (await events.next()).value; // Nothing says that it was opened again.
    if (seen.id !== stringify(event.rawId)) throw new Error(`watched another order than the one that was sent: ${seen.id}`);
    console.log("watched: order_paid");
  };
  await order("an order");

  if (mode === "restart") {
    console.log("restart the server now");
    for (let sent = 0, retries = 0, after = 0; after < 5; ) {
      const result = await deliver(client, key, [view(), view()], signal);
      if (result.stored + result.duplicates !== 2) throw new Error(`of 2 events ${result.stored + result.duplicates} are there`);
      sent += 2;
      retries += result.retries;
      if (retries > 0 && ++after === 5) console.log(`after a restart: all of ${sent} events are there`);
      await sleep(20);
    }
    await order("another order");
  }
  await events.return();
  close();
}

try {
  await run(process.argv[2]);
  console.log("all as it should be");
} catch (error) {
  console.log(`FAILED: ${error}`);
  process.exit(1);
}
