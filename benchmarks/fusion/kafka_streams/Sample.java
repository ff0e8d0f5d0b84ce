import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;

/** One value of `signals`, read by Avro's decoder field by field, in the order of Signal.avsc. */
final class Sample {
  static final int STARTED = 0, SPEECH = 1, FACE = 2, ENDED = 3;
  static final int FACE_WIDTH = 96, SPEECH_WIDTH = 31;
  private static final int HEADER = 10;
  private static final ThreadLocal<BinaryDecoder> DECODER = new ThreadLocal<>();

  int kind;
  final long[] stamps = new long[5];
  float[] values;
  Started started;

  /** Configuration of a session. */
  static final class Started {
    long capturedUs;
    int mapping, smoothing;
    double[] config;
    double[] neutral = new double[20], gain = new double[20];
  }

  static Sample read(byte[] data) {
    try {
      BinaryDecoder in =
          DecoderFactory.get().binaryDecoder(data, HEADER, data.length - HEADER, DECODER.get());
      DECODER.set(in);
      Sample sample = new Sample();
      for (int i = 0; i < 5; i++) sample.stamps[i] = in.readLong();
      sample.kind = in.readIndex();
      switch (sample.kind) {
        case STARTED -> sample.started = readStarted(in, sample.stamps[0]);
        case SPEECH -> sample.values = readSpeech(in);
        case FACE -> sample.values = readFace(in);
        default -> in.readEnum();
      }
      in.readLong();
      in.skipString();
      in.skipString();
      return sample;
    } catch (IOException error) {
      throw new IllegalArgumentException("not a Signal", error);
    }
  }

  private static Started readStarted(BinaryDecoder in, long capturedUs) throws IOException {
    Started started = new Started();
    started.capturedUs = capturedUs;
    in.skipString();
    if (in.readIndex() == 1) in.skipString();
    in.readEnum();
    for (int i = 0; i < 5; i++) in.readBoolean();
    in.skipString();
    started.mapping = in.readEnum();
    started.smoothing = in.readEnum();
    Map<String, Double> parameters = new HashMap<>();
    for (long n = in.readMapStart(); n != 0; n = in.mapNext())
      for (long i = 0; i < n; i++) parameters.put(in.readString(), in.readDouble());
    started.config = new double[Tables.PARAMETERS.length];
    for (int i = 0; i < started.config.length; i++)
      started.config[i] = parameters.get(Tables.PARAMETERS[i]);
    java.util.Arrays.fill(started.gain, 1.0);
    if (in.readIndex() == 1) {
      readDoubles(in, started.neutral);
      readDoubles(in, started.gain);
    }
    if (in.readIndex() == 1) for (int i = 0; i < 3; i++) in.skipString();
    return started;
  }

  private static void readDoubles(BinaryDecoder in, double[] out) throws IOException {
    int at = 0;
    for (long n = in.readArrayStart(); n != 0; n = in.arrayNext())
      for (long i = 0; i < n; i++) out[at++] = in.readFloat();
  }

  private static int readFloats(BinaryDecoder in, float[] out, int at) throws IOException {
    for (long n = in.readArrayStart(); n != 0; n = in.arrayNext())
      for (long i = 0; i < n; i++) out[at++] = in.readFloat();
    return at;
  }

  /** Columns: speaking, energy, 7 emotions, unknown, confidence, age, valence, arousal, dominance, 15 visemes, their confidence. */
  private static float[] readSpeech(BinaryDecoder in) throws IOException {
    float[] v = new float[SPEECH_WIDTH];
    int at = 0;
    v[at++] = in.readFloat();
    v[at++] = in.readFloat();
    at = readFloats(in, v, at);
    for (int i = 0; i < 6; i++) v[at++] = in.readFloat();
    at = readFloats(in, v, at);
    v[at] = in.readFloat();
    in.readBoolean();
    return v;
  }

  /** Columns: confidence, 7 emotions, affect, 20 AUs, 52 shapes, yaw, pitch, roll, gaze, blinks, box, detected, track. */
  private static float[] readFace(BinaryDecoder in) throws IOException {
    float[] v = new float[FACE_WIDTH];
    boolean detected = in.readBoolean();
    int at = 0;
    v[at++] = in.readFloat();
    at = readFloats(in, v, at);
    for (int i = 0; i < 3; i++) v[at++] = in.readFloat();
    at = readFloats(in, v, at);
    at = readFloats(in, v, at);
    for (int i = 0; i < 7; i++) v[at++] = in.readFloat();
    at = readFloats(in, v, at);
    in.readBoolean();
    in.readInt();
    v[at++] = detected ? 1f : 0f;
    v[at] = in.readInt();
    return v;
  }

  void write(ByteBuffer out) {
    for (long stamp : stamps) out.putLong(stamp);
    for (float value : values) out.putFloat(value);
  }

  static Sample read(ByteBuffer in, int kind) {
    Sample sample = new Sample();
    sample.kind = kind;
    for (int i = 0; i < 5; i++) sample.stamps[i] = in.getLong();
    sample.values = new float[kind == FACE ? FACE_WIDTH : SPEECH_WIDTH];
    for (int i = 0; i < sample.values.length; i++) sample.values[i] = in.getFloat();
    return sample;
  }
}
