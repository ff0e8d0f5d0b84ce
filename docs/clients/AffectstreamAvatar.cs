// Drives a Unity avatar from an affectstream session over the WebSocket of docs/protocol.md.
//
// Not tested here: there was no Unity to run it. Unity 2021.3 or later, package com.unity.nuget.newtonsoft-json.
// Put it on the avatar, assign the face's SkinnedMeshRenderer (blendshapes with ARKit names, any capitalisation and
// any prefix such as "blendShape1.") and the bones, and give it the session's avatar URL and token.

using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Net.WebSockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Newtonsoft.Json.Linq;
using UnityEngine;

public sealed class AffectstreamAvatar : MonoBehaviour
{
    [Tooltip("avatar_url of POST /v1/sessions, for instance ws://127.0.0.1:8421/v1/sessions/ID/avatar")]
    public string avatarUrl;
    [Tooltip("A token of that session with the scope watch")]
    public string token;
    public SkinnedMeshRenderer face;
    public Transform head, neck, spine;
    [Tooltip("Seconds in which a parameter goes two thirds of the way to its newest value")]
    public float smoothing = 0.04f;
    [Tooltip("Seconds without a frame after which the face relaxes")]
    public float relaxAfter = 0.5f;

    readonly ConcurrentQueue<JObject> arrived = new ConcurrentQueue<JObject>();
    readonly Dictionary<string, int> shapes = new Dictionary<string, int>(StringComparer.OrdinalIgnoreCase);
    readonly Dictionary<int, float> wanted = new Dictionary<int, float>(), shown = new Dictionary<int, float>();
    Quaternion headRest, neckRest, spineRest;
    Quaternion headTurn = Quaternion.identity, neckTurn = Quaternion.identity, spineTurn = Quaternion.identity;
    long newest = -1;
    float newestAt = float.NegativeInfinity;
    CancellationTokenSource stop;

    void OnEnable()
    {
        var mesh = face.sharedMesh;
        shapes.Clear();
        for (var i = 0; i < mesh.blendShapeCount; i++)
        {
            var name = mesh.GetBlendShapeName(i);
            shapes[name.Substring(name.LastIndexOf('.') + 1)] = i;
        }
        headRest = RestOf(head);
        neckRest = RestOf(neck);
        spineRest = RestOf(spine);
        stop = new CancellationTokenSource();
        _ = Task.Run(() => Follow(stop.Token));
    }

    void OnDisable() => stop?.Cancel();

    // The connection, off the main thread. Reconnects until it is disabled or the service says that it is for good.
    async Task Follow(CancellationToken cancel)
    {
        var delay = 0.1;
        while (!cancel.IsCancellationRequested)
        {
            using (var socket = new ClientWebSocket())
            {
                try
                {
                    socket.Options.SetRequestHeader("Authorization", "Bearer " + token);
                    socket.Options.AddSubProtocol("affectstream.json");
                    await socket.ConnectAsync(new Uri(avatarUrl), cancel);
                    delay = 0.1;
                    await Receive(socket, cancel);
                    var code = (int?)socket.CloseStatus ?? 1006;
                    // 4400 to 4413: malformed, bad token, forbidden, replaced, ended (docs/protocol.md, close codes).
                    if (code >= 4400 && code < 4429)
                    {
                        Debug.LogError($"affectstream: {code} {socket.CloseStatusDescription}");
                        return;
                    }
                }
                catch (OperationCanceledException) { return; }
                catch (WebSocketException error) { Debug.LogWarning("affectstream: " + error.Message); }
            }
            try { await Task.Delay(TimeSpan.FromSeconds(delay), cancel); }
            catch (OperationCanceledException) { return; }
            delay = Math.Min(1.0, delay * 2);
        }
    }

    async Task Receive(ClientWebSocket socket, CancellationToken cancel)
    {
        var buffer = new ArraySegment<byte>(new byte[16384]);
        var text = new StringBuilder();
        while (socket.State == WebSocketState.Open)
        {
            var part = await socket.ReceiveAsync(buffer, cancel);
            if (part.MessageType == WebSocketMessageType.Close) return;
            text.Append(Encoding.UTF8.GetString(buffer.Array, 0, part.Count));
            if (!part.EndOfMessage) continue;
            var message = JObject.Parse(text.ToString());
            text.Clear();
            if ((string)message["type"] == "avatar_frame") arrived.Enqueue(message);
        }
    }

    void Update()
    {
        while (arrived.TryDequeue(out var message))
        {
            var sequence = (long)message["sequence"];
            if (sequence <= newest) continue;
            newest = sequence;
            newestAt = Time.unscaledTime;
            Take((JObject)message["payload"]);
        }
        if (Time.unscaledTime - newestAt > relaxAfter) Relax();
        var share = 1f - Mathf.Exp(-Time.unscaledDeltaTime / Mathf.Max(smoothing, 1e-3f));
        foreach (var pair in wanted)
        {
            shown.TryGetValue(pair.Key, out var before);
            shown[pair.Key] = Mathf.Lerp(before, pair.Value, share);
            face.SetBlendShapeWeight(pair.Key, 100f * shown[pair.Key]);
        }
        Turn(head, headRest * headTurn, share);
        Turn(neck, neckRest * neckTurn, share);
        Turn(spine, spineRest * spineTurn, share);
    }

    void Take(JObject payload)
    {
        foreach (var shape in (JObject)payload["blendshapes"])
            if (shapes.TryGetValue(shape.Key, out var index)) wanted[index] = (float)shape.Value;
        var bones = payload["bone_transforms"];
        // Unity: x is pitch (down > 0), y is yaw (to the avatar's right > 0), z is roll (to its left shoulder > 0).
        headTurn = Quaternion.Euler((float)bones["head_pitch"], -(float)bones["head_yaw"], (float)bones["head_roll"]);
        neckTurn = Quaternion.Euler((float)bones["neck_pitch"], 0f, 0f);
        spineTurn = Quaternion.Euler((float)bones["body_lean"], 0f, 0f);
    }

    void Relax()
    {
        foreach (var index in new List<int>(wanted.Keys)) wanted[index] = 0f;
        headTurn = neckTurn = spineTurn = Quaternion.identity;
    }

    static Quaternion RestOf(Transform bone) => bone == null ? Quaternion.identity : bone.localRotation;

    static void Turn(Transform bone, Quaternion turn, float share)
    {
        if (bone != null) bone.localRotation = Quaternion.Slerp(bone.localRotation, turn, share);
    }
}
