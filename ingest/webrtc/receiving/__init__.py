"""From the RTP packets of a peer connection to pictures (JPEG) and sound (PCM16), on top of aiortc.

The way in is one call, after the offer was set and before the answer is::

    connection = RTCPeerConnection(configuration)
    await connection.setRemoteDescription(offer)
    reception = receive(connection, sink, pool, clock)  # of .reception; sink: what .sink describes
    await connection.setLocalDescription(await connection.createAnswer())

``sink`` is told in the event loop's thread of each picture and each piece of sound, of frames that were given up and
why, and of the end of a track. ``pool`` (:class:`~ingest.webrtc.receiving.pool.MediaPool`, one a process) decodes.

======================  =======================================================================================
module                  is about
======================  =======================================================================================
``packets``             RTP headers and payload formats (VP8, H.264): bytes to parts. Pure.
``packet_order``        reordering, duplicates, wraps, bounded waiting for what is missing. Pure.
``jitter_buffer``       packets to complete frames: by the marker bit, or at the next frame's first packet. Pure.
``continuity``          after a loss: which frames can still be decoded, when to ask for a key frame. Pure.
``statistics``          what receiver reports say (RFC 3550). Pure.
``pictures``, ``sound`` decoders: VP8 and H.264 to JPEG without a detour over RGB, Opus and PCM to 16 kHz mono.
``stream``              frames to the sink: which are decoded, in which thread, the one outcome of each.
``pool``                threads that decode, each session's frames in order.
``bandwidth``           the rate that senders are told to keep to.
``receiver``, ``pump``  a receiver in aiortc's place, and the short way for its packets.
``reception``           puts them into a connection; ``stock``, aiortc's own, where aiortc is not as they know it.
======================  =======================================================================================
"""
