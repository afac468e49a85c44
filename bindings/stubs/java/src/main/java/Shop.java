// Sends batches to Footpath with stubs generated from proto/, and watches the events arrive. docs/backends-from-stubs.md explains it.
//
//   FOOTPATH_URL=http://127.0.0.1:7400 FOOTPATH_KEY=fp_... FOOTPATH_TOKEN=... java -cp "target/classes:target/lib/*" Shop [once | restart]
//
// "once" sends three events only; "restart" goes on until the server was away once and came back.

import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import footpath.v1.EventOuterClass.Context;
import footpath.v1.EventOuterClass.Event;
import footpath.v1.EventOuterClass.Money;
import footpath.v1.EventOuterClass.Value;
import footpath.v1.IngestServiceGrpc;
import footpath.v1.IngestServiceGrpc.IngestServiceBlockingStub;
import footpath.v1.IngestServiceOuterClass.IngestRequest;
import footpath.v1.IngestServiceOuterClass.IngestResponse;
import footpath.v1.IngestServiceOuterClass.Refusal;
import footpath.v1.LiveServiceGrpc;
import footpath.v1.LiveServiceGrpc.LiveServiceBlockingStub;
import footpath.v1.LiveServiceOuterClass.EventSubscription;
import footpath.v1.LiveServiceOuterClass.StoredEvent;
import footpath.v1.LiveServiceOuterClass.Subscription;
import footpath.v1.LiveServiceOuterClass.WatchRequest;
import footpath.v1.LiveServiceOuterClass.WatchResponse;
import io.grpc.CallCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.shaded.io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.protobuf.StatusProto;
import java.io.File;
import java.net.URI;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;

public final class Shop {
    /** Makes the one channel of the process. It connects when it is first used, and again by itself. */
    static ManagedChannel connect(String address, String caFile) throws Exception {
        URI server = URI.create(address);
        NettyChannelBuilder channel = NettyChannelBuilder.forAddress(server.getHost(), server.getPort())
                // Finds a dead connection within 50 s, where TCP takes a quarter of an hour.
                .keepAliveTime(30, TimeUnit.SECONDS)
                .keepAliveTimeout(20, TimeUnit.SECONDS);
        if (server.getScheme().equals("http")) {
            channel.usePlaintext();
        } else if (caFile != null) { // The system's authorities, unless a file names one.
            channel.sslContext(GrpcSslContexts.forClient().trustManager(new File(caFile)).build());
        }
        return channel.build();
    }

    /** Sends the project key with Ingest, and a token with Watch. */
    static CallCredentials bearer(String credential) {
        return new CallCredentials() {
            @Override
            public void applyRequestMetadata(RequestInfo info, Executor executor, MetadataApplier applier) {
                Metadata headers = new Metadata();
                headers.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + credential);
                applier.apply(headers);
            }
        };
    }

    /** Gives an event its id and its time when it happens, not when it is sent: that makes retries safe. */
    static Event newEvent(String name, String user, Map<String, Value> properties) {
        UUID id = UUID.randomUUID();
        ByteBuffer bytes = ByteBuffer.allocate(16).putLong(id.getMostSignificantBits()).putLong(id.getLeastSignificantBits());
        Instant now = Instant.now();
        return Event.newBuilder()
                .setRawId(ByteString.copyFrom(bytes.flip()))
                .setName(name)
                .setUserId(user)
                .setTime(com.google.protobuf.Timestamp.newBuilder().setSeconds(now.getEpochSecond()).setNanos(now.getNano()))
                .putAllProperties(properties)
                .build();
    }

    /** What became of events. Those that were refused are refused for good: log them; do not send them again. */
    static final class Result {
        long stored;
        long duplicates;
        int retries;
        final List<Refused> refused = new ArrayList<>();
    }

    record Refused(Event event, String reason, String message) {}

    /**
     * Sends events until each of them is stored or refused for good. After an exception keep all of them and call it again later:
     * what is stored already comes back as a duplicate.
     */
    static Result deliver(IngestServiceBlockingStub client, List<Event> events, Instant giveUp) throws InterruptedException {
        Result result = new Result();
        Deque<List<Event>> parts = new ArrayDeque<>(List.of(events));
        int tries = 0;
        while (!parts.isEmpty()) {
            List<Event> part = parts.pop();
            Duration wait = Duration.ZERO;
            List<Event> again = new ArrayList<>();
            try {
                IngestResponse answer = ingest(client, part);
                result.stored += answer.getStored();
                result.duplicates += answer.getDuplicates();
                for (Refusal refusal : answer.getRefusedList()) {
                    Event event = part.get(refusal.getIndex());
                    if (refusal.getRetryable()) {
                        again.add(event);
                        Duration asked = java(refusal.getRetryAfter());
                        wait = asked.compareTo(wait) > 0 ? asked : wait;
                    } else {
                        result.refused.add(new Refused(event, refusal.getReason(), refusal.getMessage()));
                    }
                }
            } catch (StatusRuntimeException error) {
                Details details = Details.of(error);
                boolean tooLarge = details.reason.equals("batch_too_large") || details.reason.equals("too_many_events");
                if (tooLarge && part.size() > 1) {
                    int half = part.size() / 2;
                    parts.push(part.subList(half, part.size()));
                    parts.push(part.subList(0, half));
                    continue;
                }
                if (tooLarge) {
                    result.refused.add(new Refused(part.get(0), details.reason, error.getMessage()));
                    continue;
                }
                if (!retryable(error)) {
                    throw error;
                }
                System.err.println("try again: " + error.getStatus().getCode() + " " + details.reason);
                wait = details.delay;
                again = part;
            }
            if (again.isEmpty()) {
                tries = 0;
                continue;
            }
            if (Instant.now().isAfter(giveUp)) {
                throw Status.DEADLINE_EXCEEDED.withDescription("not all events could be delivered in time").asRuntimeException();
            }
            parts.push(again);
            result.retries++;
            pause(tries++, wait);
        }
        return result;
    }

    /** Sends one batch. Without a deadline a call to a server that hangs would never end. */
    static IngestResponse ingest(IngestServiceBlockingStub client, List<Event> events) {
        Context context = Context.newBuilder().setApp("shop").setLibrary("stubs-java").build();
        IngestRequest request = IngestRequest.newBuilder().setContext(context).addAllEvents(events).build();
        return client.withCompression("gzip").withDeadlineAfter(30, TimeUnit.SECONDS).ingest(request);
    }

    /** Whether the same batch can succeed later. It may be stored already; then it comes back as duplicates. */
    static boolean retryable(StatusRuntimeException error) {
        return switch (error.getStatus().getCode()) {
            case UNAVAILABLE, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED -> true;
            default -> false;
        };
    }

    /** The stable reason, and how long the server asks to wait. */
    record Details(String reason, Duration delay) {
        static Details of(StatusRuntimeException error) {
            String reason = "";
            Duration delay = Duration.ZERO;
            try {
                for (Any detail : StatusProto.fromThrowable(error).getDetailsList()) {
                    if (detail.is(ErrorInfo.class)) {
                        reason = detail.unpack(ErrorInfo.class).getReason();
                    } else if (detail.is(RetryInfo.class)) {
                        delay = java(detail.unpack(RetryInfo.class).getRetryDelay());
                    }
                }
            } catch (InvalidProtocolBufferException damaged) {
                // Then there is no more to know than the code.
            }
            return new Details(reason, delay);
        }
    }

    static Duration java(com.google.protobuf.Duration duration) {
        return Duration.ofSeconds(duration.getSeconds(), duration.getNanos());
    }

    /** Waits up to 0.2 s, 0.4 s, ... 10 s, by chance, so that not all senders come back at once; never less than the server asks for. */
    static void pause(int tries, Duration atLeast) throws InterruptedException {
        long limit = Math.min(200L << Math.min(tries, 10), 10_000);
        Thread.sleep(atLeast.toMillis() + ThreadLocalRandom.current().nextLong(limit));
    }

    /** Shows events of a name as they are stored, until seen says that it is enough. It goes on by cursor after a restart. */
    static void watch(LiveServiceBlockingStub client, String name, Runnable started, Predicate<StoredEvent> seen)
            throws Exception {
        Subscription.Builder subscription = Subscription.newBuilder()
                .setId("orders")
                .setEvents(EventSubscription.newBuilder().addNames(name));
        int tries = 0;
        while (true) {
            Duration wait = Duration.ZERO;
            // Whoever leaves the loop early has to cancel the stream, or it stays open.
            try (var stream = io.grpc.Context.current().withCancellation()) {
                WatchRequest request = WatchRequest.newBuilder().setProject("default").addSubscriptions(subscription).build();
                Iterator<WatchResponse> messages = stream.wrap(() -> client.watch(request)).call();
                while (messages.hasNext()) {
                    WatchResponse message = messages.next();
                    tries = 0;
                    if (message.hasStarted()) {
                        started.run();
                    } else if (message.hasEnded()) {
                        throw new IllegalStateException(message.getEnded().getReason());
                    } else if (message.hasEvents()) {
                        if (message.getEvents().getEventsList().stream().anyMatch(seen)) {
                            return;
                        }
                        subscription.setCursor(message.getEvents().getCursor());
                    }
                }
            } catch (StatusRuntimeException error) {
                if (!retryable(error)) {
                    throw error;
                }
                wait = Details.of(error).delay;
            }
            pause(tries++, wait);
        }
    }

    public static void main(String[] arguments) throws Exception {
        try {
            run(arguments.length > 0 ? arguments[0] : "");
        } catch (Exception error) {
            System.out.println("FAILED: " + error);
            System.exit(1);
        }
        System.out.println("all as it should be");
        System.exit(0);
    }

    static void run(String mode) throws Exception {
        Instant giveUp = Instant.now().plusSeconds(60);
        ManagedChannel channel = connect(System.getenv("FOOTPATH_URL"), System.getenv("FOOTPATH_CA"));
        IngestServiceBlockingStub client =
                IngestServiceGrpc.newBlockingStub(channel).withCallCredentials(bearer(System.getenv("FOOTPATH_KEY")));
        LiveServiceBlockingStub live =
                LiveServiceGrpc.newBlockingStub(channel).withCallCredentials(bearer(System.getenv("FOOTPATH_TOKEN")));

        if (mode.equals("once")) {
            send(client, giveUp, "three events", List.of(view(), view(), view()), "stored 3, duplicates 0, refused 0");
            return;
        }
        // The one in the middle has no name.
        List<Event> batch = List.of(view(), newEvent("", "u-17", Map.of()), view());
        send(client, giveUp, "a bad event among good ones", batch, "stored 2, duplicates 0, refused 1 name_missing");
        send(client, giveUp, "the same again", batch, "stored 0, duplicates 2, refused 1 name_missing");
        List<Event> many = Stream.generate(Shop::view).limit(10_001).toList();
        send(client, giveUp, "too many for one batch", many, "stored 10001, duplicates 0, refused 0");

        CompletableFuture<Void> started = new CompletableFuture<>();
        BlockingQueue<String> seen = new LinkedBlockingQueue<>();
        Thread watcher = new Thread(() -> {
            try {
                watch(live, "order_paid", () -> started.complete(null), event -> !seen.add(event.getId()));
            } catch (Exception error) {
                started.completeExceptionally(error);
                seen.add(error.toString());
            }
        });
        watcher.setDaemon(true);
        watcher.start();
        started.get(20, TimeUnit.SECONDS);
        order(client, giveUp, "an order", seen);

        if (mode.equals("restart")) {
            System.out.println("restart the server now");
            int sent = 0;
            int retries = 0;
            for (int after = 0; after < 5; Thread.sleep(20)) {
                if (Instant.now().isAfter(giveUp)) {
                    throw new IllegalStateException("the server was not restarted");
                }
                Result result = deliver(client, List.of(view(), view()), giveUp);
                if (result.stored + result.duplicates != 2) {
                    throw new IllegalStateException("of 2 events " + (result.stored + result.duplicates) + " are there");
                }
                sent += 2;
                retries += result.retries;
                after += retries > 0 ? 1 : 0;
            }
            System.out.println("after a restart: all of " + sent + " events are there");
            order(client, giveUp, "another order", seen);
        }
        watcher.interrupt();
        // Lets calls under way end, then closes the connection.
        channel.shutdown().awaitTermination(5, TimeUnit.SECONDS);
    }

    /** Sends an order and waits until the watch shows it. */
    static void order(IngestServiceBlockingStub client, Instant giveUp, String what, BlockingQueue<String> seen) throws Exception {
        Money total = Money.newBuilder().setCurrency("EUR").setUnits(12).setNanos(500_000_000).build();
        Event event = newEvent("order_paid", "u-17", Map.of(
                "total", Value.newBuilder().setMoneyValue(total).build(),
                "items", Value.newBuilder().setIntValue(3).build()));
        send(client, giveUp, what, List.of(event), "stored 1, duplicates 0, refused 0");
        ByteBuffer id = event.getRawId().asReadOnlyByteBuffer();
        String shown = seen.poll(20, TimeUnit.SECONDS);
        if (!new UUID(id.getLong(), id.getLong()).toString().equals(shown)) {
            throw new IllegalStateException("watched another order than the one that was sent: " + shown);
        }
        System.out.println("watched: order_paid");
    }

    static Event view() {
        return newEvent("view", "u-17", Map.of());
    }

    /** Sends events, shows what became of them, and compares that with what should have. */
    static void send(IngestServiceBlockingStub client, Instant giveUp, String what, List<Event> events, String wanted)
            throws Exception {
        Result result = deliver(client, events, giveUp);
        String reasons = result.refused.stream().map(refused -> " " + refused.reason).collect(Collectors.joining());
        String got = "stored " + result.stored + ", duplicates " + result.duplicates + ", refused " + result.refused.size() + reasons;
        System.out.println(what + ": " + got);
        if (!got.equals(wanted)) {
            throw new IllegalStateException(what + " should be: " + wanted);
        }
    }
}
