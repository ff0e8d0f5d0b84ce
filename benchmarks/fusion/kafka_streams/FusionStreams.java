import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

/**
 * Fusion with the windowed DSL: group by session, a window a tick, aggregate to the newest samples, emit when the
 * window closes, smooth in a processor with a state store.
 *
 * <p>Arguments: bootstrap servers, input topic, output topic, state directory, tables, prefix of a frame in hex. Tuned:
 * in-memory stores without change logs, one thread, large fetches, rare commits. Event time counts ticks: window n
 * holds what was captured after tick n-1 and not after tick n.
 */
public final class FusionStreams {
  static final long WINDOW_MS = 33, GRACE_MS = 120, END_MS = 10 * WINDOW_MS + GRACE_MS;

  public static void main(String[] arguments) throws Exception {
    Tables.load(Path.of(arguments[4]));
    Session.load(HexFormat.of().parseHex(arguments[5]));
    Properties config = new Properties();
    config.put("application.id", "bench-" + arguments[1]);
    config.put("bootstrap.servers", arguments[0]);
    config.put("num.stream.threads", "1");
    config.put("state.dir", arguments[3]);
    config.put("commit.interval.ms", "10000");
    config.put("statestore.cache.max.bytes", "0");
    config.put("replication.factor", "1");
    config.put("producer.linger.ms", "5");
    config.put("producer.batch.size", "262144");
    config.put("consumer.auto.offset.reset", "earliest");
    config.put("consumer.isolation.level", "read_committed");
    config.put("consumer.max.poll.records", "5000");
    KafkaStreams streams = new KafkaStreams(topology(arguments[1], arguments[2]).build(), config);
    CountDownLatch stopped = new CountDownLatch(1);
    streams.setUncaughtExceptionHandler(
        error -> {
          error.printStackTrace();
          Runtime.getRuntime().halt(1);
          return null;
        });
    Runtime.getRuntime().addShutdownHook(new Thread(() -> { streams.close(Duration.ofSeconds(5)); stopped.countDown(); }));
    streams.setStateListener(
        (now, before) -> {
          if (now == KafkaStreams.State.RUNNING) System.out.println("READY");
        });
    streams.start();
    stopped.await();
  }

  static StreamsBuilder topology(String signals, String frames) {
    Serde<Sample> samples = sampleSerde();
    Materialized<String, Window, WindowStore<Bytes, byte[]>> windows =
        Materialized.<String, Window>as(
                Stores.inMemoryWindowStore("windows", Duration.ofSeconds(5), Duration.ofMillis(WINDOW_MS), false))
            .withKeySerde(Serdes.String())
            .withValueSerde(Window.serde())
            .withCachingDisabled()
            .withLoggingDisabled();
    StreamsBuilder builder = new StreamsBuilder();
    builder.addStateStore(
        Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore("sessions"), Serdes.String(), Session.serde())
            .withCachingDisabled()
            .withLoggingDisabled());
    builder.stream(
            signals,
            Consumed.with(Serdes.String(), samples)
                .withTimestampExtractor((record, previous) -> eventTime((Sample) record.value())))
        .groupByKey(Grouped.with(Serdes.String(), samples))
        .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofMillis(WINDOW_MS), Duration.ofMillis(GRACE_MS)))
        .aggregate(Window::new, (session, sample, window) -> window.add(sample), windows)
        .suppress(Suppressed.untilWindowCloses(Suppressed.BufferConfig.unbounded().withLoggingDisabled()))
        .toStream()
        .process(Fuse::new, "sessions")
        .to(frames, Produced.with(Serdes.String(), Serdes.ByteArray()));
    return builder;
  }

  static long eventTime(Sample sample) {
    long window = -Math.floorDiv(-sample.stamps[0] * 30, 1_000_000L);
    return window * WINDOW_MS + (sample.kind == Sample.ENDED ? END_MS : 0);
  }

  static Serde<Sample> sampleSerde() {
    Serializer<Sample> write =
        (topic, sample) -> {
          throw new UnsupportedOperationException("samples are never written");
        };
    Deserializer<Sample> read = (topic, data) -> Sample.read(data);
    return Serdes.serdeFrom(write, read);
  }

  /** One tick a closed window. */
  static final class Fuse implements Processor<Windowed<String>, Window, String, byte[]> {
    private ProcessorContext<String, byte[]> context;
    private KeyValueStore<String, Session> sessions;

    @Override
    public void init(ProcessorContext<String, byte[]> context) {
      this.context = context;
      sessions = context.getStateStore("sessions");
    }

    @Override
    public void process(Record<Windowed<String>, Window> record) {
      String id = record.key().key();
      Session session = sessions.get(id);
      if (session == null) session = new Session();
      try {
        byte[] frame = session.tick(id, record.key().window().start() / WINDOW_MS, record.value());
        sessions.put(id, session);
        if (frame != null) context.forward(new Record<>(id, frame, System.currentTimeMillis()));
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }
  }
}
