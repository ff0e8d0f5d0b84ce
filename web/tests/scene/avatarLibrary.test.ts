import { beforeAll, describe, expect, it } from "vitest";
import { AvatarLibrary } from "../../src/scene/avatarLibrary";
import { smallGlb } from "../avatar/glbs";

const file = (bytes: ArrayBuffer, name: string): File => new File([bytes], name);

describe("AvatarLibrary", () => {
  beforeAll(() => {
    Object.assign(globalThis, { self: globalThis });
  });

  it("shows an opened file, and says what it lacks", async () => {
    const library = new AvatarLibrary();
    await library.open(file(smallGlb({ targets: ["jawOpen"] }), "mine.glb"));
    const { model, own, note, loading } = library.choice.get();
    expect([model?.name, own, loading]).toEqual(["mine.glb", false, null]);
    expect(note).toMatchObject({ kind: "hint" });
    expect(note?.text).toContain("lacks 51 of the 52");
    library.dismiss();
    expect(library.choice.get().note).toBeNull();
  });

  it("keeps the present avatar when a file cannot be one", async () => {
    const library = new AvatarLibrary();
    await library.open(file(smallGlb({ targets: ["jawOpen"] }), "mine.glb"));
    await library.open(file(smallGlb(), "still.glb"));
    const { model, note } = library.choice.get();
    expect(model?.name).toBe("mine.glb");
    expect(note).toMatchObject({ kind: "error" });
    expect(note?.text).toContain("still.glb cannot show expressions");
  });

  it("shows the later of two files opened at once", async () => {
    const library = new AvatarLibrary();
    const glb = smallGlb({ targets: ["jawOpen"] });
    await Promise.all([library.open(file(glb, "first.glb")), library.open(file(glb, "second.glb"))]);
    expect(library.choice.get().model?.name).toBe("second.glb");
  });

  it("says when the server does not have our avatar", async () => {
    const library = new AvatarLibrary("http://127.0.0.1:9/models/avatar.glb");
    await library.showOwn();
    expect(library.choice.get()).toMatchObject({ model: null, note: { kind: "error" } });
    expect(library.choice.get().note?.text).toContain("cannot be reached");
  });
});
