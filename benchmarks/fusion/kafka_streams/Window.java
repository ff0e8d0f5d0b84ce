import java.nio.ByteBuffer;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;

/** What a window holds: the newest sample of each modality, and the session's start. */
final class Window {
  Sample face, speech;
  Sample.Started started;

  Window add(Sample sample) {
    switch (sample.kind) {
      case Sample.FACE -> {
        if (face == null || sample.stamps[0] >= face.stamps[0]) face = sample;
      }
      case Sample.SPEECH -> {
        if (speech == null || sample.stamps[0] >= speech.stamps[0]) speech = sample;
      }
      case Sample.STARTED -> started = sample.started;
      default -> {}
    }
    return this;
  }

  static Serde<Window> serde() {
    Serializer<Window> write = (topic, window) -> window == null ? null : window.bytes();
    Deserializer<Window> read = (topic, data) -> data == null ? null : of(data);
    return Serdes.serdeFrom(write, read);
  }

  private byte[] bytes() {
    int size = 1;
    if (face != null) size += 40 + 4 * Sample.FACE_WIDTH;
    if (speech != null) size += 40 + 4 * Sample.SPEECH_WIDTH;
    if (started != null) size += 16 + 8 * (started.config.length + 40);
    ByteBuffer out = ByteBuffer.allocate(size);
    out.put((byte) ((face != null ? 1 : 0) | (speech != null ? 2 : 0) | (started != null ? 4 : 0)));
    if (face != null) face.write(out);
    if (speech != null) speech.write(out);
    if (started != null) {
      out.putLong(started.capturedUs).putInt(started.mapping).putInt(started.smoothing);
      for (double value : started.config) out.putDouble(value);
      for (double value : started.neutral) out.putDouble(value);
      for (double value : started.gain) out.putDouble(value);
    }
    return out.array();
  }

  private static Window of(byte[] data) {
    ByteBuffer in = ByteBuffer.wrap(data);
    Window window = new Window();
    int has = in.get();
    if ((has & 1) != 0) window.face = Sample.read(in, Sample.FACE);
    if ((has & 2) != 0) window.speech = Sample.read(in, Sample.SPEECH);
    if ((has & 4) != 0) {
      Sample.Started started = window.started = new Sample.Started();
      started.capturedUs = in.getLong();
      started.mapping = in.getInt();
      started.smoothing = in.getInt();
      started.config = new double[Tables.PARAMETERS.length];
      for (int i = 0; i < started.config.length; i++) started.config[i] = in.getDouble();
      for (int i = 0; i < 20; i++) started.neutral[i] = in.getDouble();
      for (int i = 0; i < 20; i++) started.gain[i] = in.getDouble();
    }
    return window;
  }
}
