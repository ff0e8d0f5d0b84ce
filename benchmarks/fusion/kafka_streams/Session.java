import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;

/** A session between windows: configuration, last samples, smoothing. The maths are those of the product's core. */
final class Session {
  static final int EMOTIONS = 7, AUS = 20, SHAPES = 52, VISEMES = 15;
  static final int F_CONFIDENCE = 0, F_EMOTIONS = 1, F_VALENCE = 8, F_AUS = 11, F_SHAPES = 31, F_YAW = 83, F_PITCH = 84;
  static final int F_ROLL = 85, F_GAZE = 86, F_BLINK = 88, F_BOX = 90, F_DETECTED = 94;
  static final int S_SPEAKING = 0, S_EMOTIONS = 2, S_CONFIDENCE = 10, S_VALENCE = 12, S_VISEMES = 15, S_VISEME_CONFIDENCE = 30;
  static final int C_VISEMES = 52, C_EMOTIONS = 67, C_AFFECT = 74, C_GAZE = 77, C_BONES = 79, C_GLOW = 84, C_SLOUCH = 85;
  static final int CHANNELS = 86;
  static final double STEP_S = 1.0 / 30.0;
  static final long FRESH_US = 100_000;

  private static byte[] prefix;
  private static int pFaceThreshold, pSpeechThreshold, pSpeaking, pCertainty, pFrontality, pStaleness;
  private static int pMouthOn, pMouthOff, pCrossfade;
  private static int pAu12, pAu06, pSlope, pMidpoint, pExaggeration, pSmile, pCheek, pGlow, pSadPitch, pSadSlouch, pLean, pWide;
  private static int pStyle, pTauFace, pTauMouth, pTauEyes, pTauPose, pTauEmotion, pCutoff, pBeta, pLive;

  Sample.Started started;
  Sample face, speech;
  boolean smooth, visemeMouth;
  double mouthShare;
  final double[] position = new double[CHANNELS], velocity = new double[CHANNELS];

  private static final ThreadLocal<Scratch> SCRATCH = ThreadLocal.withInitial(Scratch::new);

  private static final class Scratch {
    final double[] face = new double[Sample.FACE_WIDTH], speech = new double[Sample.SPEECH_WIDTH];
    final double[] aus = new double[AUS], emotions = new double[EMOTIONS], affect = new double[3], visemes = new double[VISEMES];
    final double[] target = new double[CHANNELS], rate = new double[5], decay = new double[5];
    final ByteArrayOutputStream bytes = new ByteArrayOutputStream(512);
    BinaryEncoder encoder;
  }

  static void load(byte[] framePrefix) {
    prefix = framePrefix;
    pFaceThreshold = Tables.parameter("face_threshold");
    pSpeechThreshold = Tables.parameter("speech_threshold");
    pSpeaking = Tables.parameter("speaking_context");
    pCertainty = Tables.parameter("face_certainty");
    pFrontality = Tables.parameter("frontality_context");
    pStaleness = Tables.parameter("staleness_context");
    pMouthOn = Tables.parameter("mouth_on");
    pMouthOff = Tables.parameter("mouth_off");
    pCrossfade = Tables.parameter("mouth_crossfade_ms");
    pAu12 = Tables.parameter("au12_gain");
    pAu06 = Tables.parameter("au06_damping");
    pSlope = Tables.parameter("au04_slope");
    pMidpoint = Tables.parameter("au04_midpoint");
    pExaggeration = Tables.parameter("head_exaggeration");
    pSmile = Tables.parameter("happy_smile");
    pCheek = Tables.parameter("happy_au06");
    pGlow = Tables.parameter("happy_glow");
    pSadPitch = Tables.parameter("sad_head_pitch_deg");
    pSadSlouch = Tables.parameter("sad_slouch");
    pLean = Tables.parameter("arousal_lean_deg");
    pWide = Tables.parameter("arousal_eye_wide");
    pStyle = Tables.parameter("style_share");
    pTauFace = Tables.parameter("tau_face_ms");
    pTauMouth = Tables.parameter("tau_mouth_ms");
    pTauEyes = Tables.parameter("tau_eyes_ms");
    pTauPose = Tables.parameter("tau_pose_ms");
    pTauEmotion = Tables.parameter("tau_emotion_ms");
    pCutoff = Tables.parameter("one_euro_min_cutoff_hz");
    pBeta = Tables.parameter("one_euro_beta");
    pLive = Tables.parameter("live_ms");
  }

  static double clamp(double value, double low, double high) {
    return value < low ? low : Math.min(value, high);
  }

  /** The frame of a closed window, encoded; null if it holds no sample or the session has no start. */
  byte[] tick(String id, long window, Window content) throws IOException {
    if (content.started != null) started = content.started;
    if (content.face != null) face = content.face;
    if (content.speech != null) speech = content.speech;
    if (started == null || (content.face == null && content.speech == null)) return null;
    double[] config = started.config;
    long first = -Math.floorDiv(-started.capturedUs * 30, 1_000_000L);
    long t0 = first * 1_000_000L / 30, k = window - first, instant = t0 + k * 1_000_000L / 30;
    long liveUs = Math.round(config[pLive] * 1e3);

    Scratch w = SCRATCH.get();
    double[] f = w.face, s = w.speech;
    copy(face, f);
    copy(speech, s);
    double faceFresh = face == null ? 0 : freshness(instant - face.stamps[0], liveUs);
    double speechFresh = speech == null ? 0 : freshness(instant - speech.stamps[0], liveUs);
    double presence = f[F_DETECTED] > 0.5 && f[F_CONFIDENCE] >= config[pFaceThreshold] ? faceFresh : 0;

    // attention
    double faceWeight = 0, speechWeight = 0;
    boolean faceCounts =
        faceFresh > 0 && f[F_DETECTED] > 0.5 && f[F_CONFIDENCE] >= config[pFaceThreshold] && f[F_CONFIDENCE] > 0;
    boolean speechCounts = speechFresh > 0 && s[S_CONFIDENCE] >= config[pSpeechThreshold] && s[S_CONFIDENCE] > 0;
    if (faceCounts && !speechCounts) faceWeight = faceFresh;
    else if (speechCounts && !faceCounts) speechWeight = speechFresh;
    else if (faceCounts) {
      double stale = config[pStaleness] * 1e-6;
      double facing =
          Math.max(0, Math.cos(Math.toRadians(f[F_YAW]))) * Math.max(0, Math.cos(Math.toRadians(f[F_PITCH])))
              * clamp(4 * Math.max(f[F_BOX + 2], f[F_BOX + 3]), 0, 1);
      double likeliest = 0;
      for (int j = 0; j < EMOTIONS; j++) likeliest = Math.max(likeliest, f[F_EMOTIONS + j]);
      double certainty = f[F_CONFIDENCE] * Math.pow(likeliest, config[pCertainty]);
      double faceLogit =
          logit(certainty) + config[pFrontality] * facing - stale * (instant - face.stamps[0]);
      double speechLogit =
          logit(s[S_CONFIDENCE]) + config[pSpeaking] * s[S_SPEAKING] - stale * (instant - speech.stamps[0]);
      double share = 1 / (1 + Math.exp(clamp(speechLogit - faceLogit, -60, 60)));
      faceWeight = share * faceFresh;
      speechWeight = (1 - share) * speechFresh;
    }
    double total = 0;
    for (int j = 0; j < EMOTIONS; j++) {
      double score = faceWeight * f[F_EMOTIONS + j] + speechWeight * s[S_EMOTIONS + j];
      if (j == Tables.neutral) score += Math.max(0, 1 - faceWeight - speechWeight);
      w.emotions[j] = Math.max(0, score);
      total += w.emotions[j];
    }
    for (int j = 0; j < EMOTIONS; j++)
      w.emotions[j] = total > 1e-9 ? w.emotions[j] / total : j == Tables.neutral ? 1 : 0;
    for (int j = 0; j < 3; j++) w.affect[j] = faceWeight * f[F_VALENCE + j] + speechWeight * s[S_VALENCE + j];
    double speaking = speechFresh * s[S_SPEAKING];
    for (int j = 0; j < VISEMES; j++) w.visemes[j] = speechFresh * s[S_VISEMES + j];
    for (int j = 0; j < AUS; j++)
      w.aus[j] = presence * clamp(started.gain[j] * (f[F_AUS + j] - started.neutral[j]), 0, 1);

    // mouth
    if (speaking > config[pMouthOn]) visemeMouth = true;
    else if (speaking < config[pMouthOff]) visemeMouth = false;
    if (!smooth) mouthShare = visemeMouth ? 1 : 0;
    else {
      double step = (instant - (t0 + Math.floorDiv((k - 1) * 1_000_000L, 30L))) * 1e-3 / config[pCrossfade];
      mouthShare = visemeMouth ? Math.min(1, mouthShare + step) : Math.max(0, mouthShare - step);
    }

    double[] target = w.target;
    shapes(w, presence, config);
    for (int j = 0; j < VISEMES; j++) target[C_VISEMES + j] = mouthShare * w.visemes[j];
    System.arraycopy(w.emotions, 0, target, C_EMOTIONS, EMOTIONS);
    System.arraycopy(w.affect, 0, target, C_AFFECT, 3);
    for (int j = 0; j < 2; j++) target[C_GAZE + j] = presence * f[F_GAZE + j];
    posture(w, presence, config);
    if (smooth) filter(w, config);
    else {
      System.arraycopy(target, 0, position, 0, CHANNELS);
      java.util.Arrays.fill(velocity, 0);
      smooth = true;
    }
    return encode(w, id, k, instant, presence, faceFresh, speechFresh, faceWeight, speechWeight, speaking);
  }

  private static void copy(Sample sample, double[] out) {
    for (int j = 0; j < out.length; j++) out[j] = sample == null ? 0 : sample.values[j];
  }

  private static double freshness(long ageUs, long liveUs) {
    if (ageUs >= liveUs) return 0;
    return ageUs <= FRESH_US ? 1 : (double) (liveUs - ageUs) / (liveUs - FRESH_US);
  }

  private static double logit(double probability) {
    double p = clamp(probability, 0.001, 0.999);
    return Math.log(p / (1 - p));
  }

  private double styleShare(double[] config) {
    return started.mapping == 1 ? 1 : started.mapping == 2 ? config[pStyle] : 0;
  }

  private static double onset(double intensity, double slope, double midpoint) {
    double low = 1 / (1 + Math.exp(slope * midpoint)), high = 1 / (1 + Math.exp(-slope * (1 - midpoint)));
    return (1 / (1 + Math.exp(-slope * (intensity - midpoint))) - low) / (high - low);
  }

  private void shapes(Scratch w, double presence, double[] config) {
    double[] out = w.target, f = w.face;
    double share = styleShare(config), arousal = Math.max(0, w.affect[1]);
    for (int j = 0; j < SHAPES; j++) out[j] = 0;
    for (int p = 0; p < Tables.pairAu.length; p++) {
      int au = Tables.pairAu[p];
      double weight = w.aus[au];
      if (au == Tables.au12) weight = clamp(config[pAu12] * weight, 0, 1);
      else if (au == Tables.au06) weight = config[pAu06] * weight;
      else if (au == Tables.au04) weight = onset(weight, config[pSlope], config[pMidpoint]);
      weight *= Tables.pairGain[p];
      double left = f[F_SHAPES + Tables.pairLeft[p]], right = f[F_SHAPES + Tables.pairRight[p]];
      double balance = (left - right) / (left + right + 0.1);
      out[Tables.pairLeft[p]] = clamp(weight * (1 + balance), 0, 1);
      out[Tables.pairRight[p]] = clamp(weight * (1 - balance), 0, 1);
    }
    for (int p = 0; p < Tables.singleAu.length; p++)
      out[Tables.singleShape[p]] = clamp(w.aus[Tables.singleAu[p]] * Tables.singleGain[p], 0, 1);
    for (int shape : Tables.measured) out[shape] = clamp(presence * f[F_SHAPES + shape], 0, 1);
    out[Tables.blinkLeft] = clamp(presence * f[F_BLINK], 0, 1);
    out[Tables.blinkRight] = clamp(presence * f[F_BLINK + 1], 0, 1);
    double x = presence * f[F_GAZE], y = presence * f[F_GAZE + 1];
    out[Tables.outLeft] = clamp(x, 0, 1);
    out[Tables.inRight] = clamp(x, 0, 1);
    out[Tables.inLeft] = clamp(-x, 0, 1);
    out[Tables.outRight] = clamp(-x, 0, 1);
    out[Tables.downLeft] = clamp(y, 0, 1);
    out[Tables.downRight] = clamp(y, 0, 1);
    out[Tables.upLeft] = clamp(-y, 0, 1);
    out[Tables.upRight] = clamp(-y, 0, 1);
    for (int j = 0; j < SHAPES; j++)
      out[j] = out[j] * (1 - share * Tables.expressive[j]) * (1 - mouthShare * Tables.mouth[j]);
    if (share > 0) {
      for (int p = 0; p < Tables.styleEmotion.length; p++)
        out[Tables.styleShape[p]] += share * Tables.styleWeight[p] * w.emotions[Tables.styleEmotion[p]];
      double smile = share * config[pSmile] * w.emotions[Tables.happy];
      double cheek = share * config[pCheek] * w.emotions[Tables.happy];
      double wide = share * config[pWide] * arousal;
      out[Tables.smileLeft] += smile;
      out[Tables.smileRight] += smile;
      out[Tables.cheekLeft] += cheek;
      out[Tables.cheekRight] += cheek;
      out[Tables.wideLeft] += wide;
      out[Tables.wideRight] += wide;
    }
    if (mouthShare > 0)
      for (int p = 0; p < Tables.visemeIndex.length; p++)
        out[Tables.visemeShape[p]] += mouthShare * Tables.visemeWeight[p] * w.visemes[Tables.visemeIndex[p]];
    for (int j = 0; j < SHAPES; j++) out[j] = clamp(out[j], 0, 1);
  }

  private void posture(Scratch w, double presence, double[] config) {
    double[] out = w.target, f = w.face;
    double share = styleShare(config), gain = presence * config[pExaggeration];
    double sad = share * w.emotions[Tables.sad], pitch = gain * f[F_PITCH];
    out[C_BONES] = gain * f[F_YAW];
    out[C_BONES + 1] = (1 - Tables.neckShare) * pitch + sad * config[pSadPitch];
    out[C_BONES + 2] = gain * f[F_ROLL];
    out[C_BONES + 3] = Tables.neckShare * pitch;
    out[C_BONES + 4] = share * config[pLean] * Math.max(0, w.affect[1]);
    out[C_GLOW] = clamp(share * config[pGlow] * w.emotions[Tables.happy], 0, 1);
    out[C_SLOUCH] = clamp(sad * config[pSadSlouch], 0, 1);
  }

  private void filter(Scratch w, double[] config) {
    double[] target = w.target;
    int kind = started.smoothing;
    if (kind == 2) {
      double slow = oneEuroShare(1.0);
      for (int j = 0; j < CHANNELS; j++) {
        double scale = j >= C_BONES && j < C_GLOW ? 90 : 1;
        double speed = (target[j] - position[j]) * 30 / scale;
        velocity[j] += slow * (speed - velocity[j]);
        position[j] +=
            oneEuroShare(config[pCutoff] + config[pBeta] * Math.abs(velocity[j])) * (target[j] - position[j]);
      }
      return;
    }
    double tauFace = config[pTauFace];
    double[] tau = {
      tauFace, tauFace + mouthShare * (config[pTauMouth] - tauFace), config[pTauEyes], config[pTauPose], config[pTauEmotion]
    };
    for (int g = 0; g < 5; g++) {
      w.rate[g] = tau[g] >= 1e-3 ? (kind == 0 ? 2e3 : 1e3) / tau[g] : 0;
      w.decay[g] = Math.exp(-w.rate[g] * STEP_S);
    }
    for (int j = 0; j < CHANNELS; j++) {
      double rate = w.rate[Tables.group[j]], decay = w.decay[Tables.group[j]];
      double away = position[j] - target[j];
      if (rate == 0) {
        position[j] = target[j];
        velocity[j] = 0;
      } else if (kind == 0) {
        double impulse = (velocity[j] + rate * away) * STEP_S;
        position[j] = target[j] + (away + impulse) * decay;
        velocity[j] = (velocity[j] - rate * impulse) * decay;
      } else position[j] = target[j] + away * decay;
    }
  }

  private static double oneEuroShare(double cutoffHz) {
    double turn = 2 * Math.PI * cutoffHz * STEP_S;
    return turn / (turn + 1);
  }

  private static byte weight(double value) {
    return (byte) (int) Math.floor(clamp(value, 0, 1) * 255 + 0.5);
  }

  private static short signed(double value, double limit, double steps) {
    return (short) (int) Math.floor(clamp(value, -limit, limit) * steps + 0.5);
  }

  private static void weights(BinaryEncoder out, double[] values, int start, int count) throws IOException {
    byte[] packed = new byte[count];
    for (int j = 0; j < count; j++) packed[j] = weight(values[start + j]);
    out.writeFixed(packed);
  }

  private static void hops(BinaryEncoder out, Sample sample, boolean live, long instant) throws IOException {
    out.writeArrayStart();
    out.setItemCount(5);
    for (int i = 0; i < 5; i++) {
      out.startItem();
      out.writeFloat(live ? (float) ((sample.stamps[i] - instant) / 1000.0) : Float.NaN);
    }
    out.writeArrayEnd();
  }

  /** In the order of AvatarFrame.avsc. */
  private byte[] encode(
      Scratch w, String id, long k, long instant, double presence, double faceFresh, double speechFresh,
      double faceWeight, double speechWeight, double speaking) throws IOException {
    w.bytes.reset();
    w.bytes.write(prefix, 0, prefix.length);
    BinaryEncoder out = w.encoder = EncoderFactory.get().binaryEncoder(w.bytes, w.encoder);
    out.writeLong(instant);
    hops(out, face, faceFresh > 0, instant);
    hops(out, speech, speechFresh > 0, instant);
    weights(out, position, C_EMOTIONS, EMOTIONS);
    ByteBuffer affect = ByteBuffer.allocate(10).order(ByteOrder.LITTLE_ENDIAN);
    for (int j = 0; j < 5; j++) affect.putShort(signed(position[C_AFFECT + j], 1, 10_000));
    out.writeFixed(affect.array());
    double[] f = w.face, s = w.speech;
    double[] levels = {
      speaking, speechFresh * s[S_VISEME_CONFIDENCE], faceWeight, speechWeight, faceFresh * f[F_CONFIDENCE],
      speechFresh * s[S_CONFIDENCE], position[C_GLOW], position[C_SLOUCH]
    };
    weights(out, levels, 0, 8);
    weights(out, w.aus, 0, AUS);
    ByteBuffer angles = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN);
    for (int j = 0; j < 3; j++) angles.putShort(signed(presence * f[F_YAW + j], 327, 100));
    for (int j = 0; j < 5; j++) angles.putShort(signed(position[C_BONES + j], 327, 100));
    out.writeFixed(angles.array());
    weights(out, position, 0, SHAPES);
    weights(out, position, C_VISEMES, VISEMES);
    out.writeBoolean(false);
    out.writeBoolean(faceFresh > 0);
    out.writeBoolean(speechFresh > 0);
    out.writeBoolean(visemeMouth);
    out.writeBoolean(false);
    out.writeEnum(started.mapping);
    out.writeLong(k);
    out.writeString(id);
    out.flush();
    return w.bytes.toByteArray();
  }

  static Serde<Session> serde() {
    Serializer<Session> write = (topic, session) -> session == null ? null : session.bytes();
    Deserializer<Session> read = (topic, data) -> data == null ? null : of(data);
    return Serdes.serdeFrom(write, read);
  }

  private byte[] bytes() {
    int size = 26 + 8 * (40 + Tables.PARAMETERS.length + 2 * CHANNELS) + 80 + 4 * (Sample.FACE_WIDTH + Sample.SPEECH_WIDTH);
    ByteBuffer out = ByteBuffer.allocate(size);
    int has = (started != null ? 1 : 0) | (face != null ? 2 : 0) | (speech != null ? 4 : 0);
    out.put((byte) has).put((byte) ((smooth ? 1 : 0) | (visemeMouth ? 2 : 0))).putDouble(mouthShare);
    for (double value : position) out.putDouble(value);
    for (double value : velocity) out.putDouble(value);
    if (started != null) {
      out.putLong(started.capturedUs).putInt(started.mapping).putInt(started.smoothing);
      for (double value : started.config) out.putDouble(value);
      for (double value : started.neutral) out.putDouble(value);
      for (double value : started.gain) out.putDouble(value);
    }
    if (face != null) face.write(out);
    if (speech != null) speech.write(out);
    return java.util.Arrays.copyOf(out.array(), out.position());
  }

  private static Session of(byte[] data) {
    ByteBuffer in = ByteBuffer.wrap(data);
    Session session = new Session();
    int has = in.get(), is = in.get();
    session.smooth = (is & 1) != 0;
    session.visemeMouth = (is & 2) != 0;
    session.mouthShare = in.getDouble();
    for (int j = 0; j < CHANNELS; j++) session.position[j] = in.getDouble();
    for (int j = 0; j < CHANNELS; j++) session.velocity[j] = in.getDouble();
    if ((has & 1) != 0) {
      Sample.Started started = session.started = new Sample.Started();
      started.capturedUs = in.getLong();
      started.mapping = in.getInt();
      started.smoothing = in.getInt();
      started.config = new double[Tables.PARAMETERS.length];
      for (int j = 0; j < started.config.length; j++) started.config[j] = in.getDouble();
      for (int j = 0; j < AUS; j++) started.neutral[j] = in.getDouble();
      for (int j = 0; j < AUS; j++) started.gain[j] = in.getDouble();
    }
    if ((has & 2) != 0) session.face = Sample.read(in, Sample.FACE);
    if ((has & 4) != 0) session.speech = Sample.read(in, Sample.SPEECH);
    return session;
  }
}
