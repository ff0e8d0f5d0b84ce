import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/** The mapping's tables and the parameters' names, as the benchmark wrote them down. */
final class Tables {
  static String[] PARAMETERS;
  static int[] pairAu, pairLeft, pairRight, singleAu, singleShape, measured, styleEmotion, styleShape;
  static int[] visemeIndex, visemeShape, group, named;
  static double[] pairGain, singleGain, styleWeight, visemeWeight, expressive, mouth;
  static double neckShare;
  static int au04, au06, au12, blinkLeft, blinkRight, downLeft, downRight, inLeft, inRight, outLeft, outRight;
  static int upLeft, upRight, cheekLeft, cheekRight, smileLeft, smileRight, wideLeft, wideRight;
  static int happy, sad, neutral;
  private static final Map<String, Integer> INDEX = new HashMap<>();

  static void load(Path path) throws IOException {
    Map<String, String[]> lines = new HashMap<>();
    for (String line : Files.readAllLines(path)) {
      String[] words = line.split(" ");
      lines.put(words[0], Arrays.copyOfRange(words, 1, words.length));
    }
    PARAMETERS = lines.get("parameters");
    for (int i = 0; i < PARAMETERS.length; i++) INDEX.put(PARAMETERS[i], i);
    pairAu = integers(lines, "pairAu");
    pairLeft = integers(lines, "pairLeft");
    pairRight = integers(lines, "pairRight");
    pairGain = numbers(lines, "pairGain");
    singleAu = integers(lines, "singleAu");
    singleShape = integers(lines, "singleShape");
    singleGain = numbers(lines, "singleGain");
    measured = integers(lines, "measured");
    styleEmotion = integers(lines, "styleEmotion");
    styleShape = integers(lines, "styleShape");
    styleWeight = numbers(lines, "styleWeight");
    visemeIndex = integers(lines, "visemeIndex");
    visemeShape = integers(lines, "visemeShape");
    visemeWeight = numbers(lines, "visemeWeight");
    expressive = numbers(lines, "expressive");
    mouth = numbers(lines, "mouth");
    group = integers(lines, "group");
    neckShare = numbers(lines, "neckShare")[0];
    int[] n = integers(lines, "named");
    au04 = n[0];
    au06 = n[1];
    au12 = n[2];
    blinkLeft = n[3];
    blinkRight = n[4];
    downLeft = n[5];
    downRight = n[6];
    inLeft = n[7];
    inRight = n[8];
    outLeft = n[9];
    outRight = n[10];
    upLeft = n[11];
    upRight = n[12];
    cheekLeft = n[13];
    cheekRight = n[14];
    smileLeft = n[15];
    smileRight = n[16];
    wideLeft = n[17];
    wideRight = n[18];
    happy = n[19];
    sad = n[20];
    neutral = n[21];
  }

  static int parameter(String name) {
    return INDEX.get(name);
  }

  private static double[] numbers(Map<String, String[]> lines, String name) {
    return Arrays.stream(lines.get(name)).mapToDouble(Double::parseDouble).toArray();
  }

  private static int[] integers(Map<String, String[]> lines, String name) {
    return Arrays.stream(numbers(lines, name)).mapToInt(value -> (int) value).toArray();
  }
}
