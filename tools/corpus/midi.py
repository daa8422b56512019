"""Standard MIDI files, format 0, written for the sampler."""

import struct

from tools.corpus.composer import Part

TICKS_PER_BEAT = 960
MICROSECONDS_PER_BEAT = 500_000
DRUM_CHANNEL = 9


def _variable_length(value: int) -> bytes:
    parts = [value & 0x7F]
    value >>= 7
    while value:
        parts.append(0x80 | (value & 0x7F))
        value >>= 7
    return bytes(reversed(parts))


def _ticks(seconds: float) -> int:
    return round(seconds * 1e6 / MICROSECONDS_PER_BEAT * TICKS_PER_BEAT)


def midi_file(parts: list[tuple[int, Part]]) -> bytes:
    """Bytes of a file that plays each (channel, part); the tempo is fixed at 120, so that ticks are a fixed time (0.52 ms)."""
    events: list[tuple[int, int, bytes]] = [(0, 0, b"\xff\x51\x03" + MICROSECONDS_PER_BEAT.to_bytes(3, "big"))]
    for channel, part in parts:
        events.append((0, 1, bytes([0xC0 | channel, part.timbre & 0x7F])))
        events.append((0, 1, bytes([0xB0 | channel, 10, round(64 + 63 * part.pan)])))
        for note in part.notes:
            pitch, velocity = int(round(note.pitch)) & 0x7F, max(1, min(127, round(note.velocity * 127)))
            events.append((_ticks(note.start), 3, bytes([0x90 | channel, pitch, velocity])))
            events.append((_ticks(note.start + note.duration), 2, bytes([0x80 | channel, pitch, 0])))
    track, clock = b"", 0
    for tick, _, message in sorted(events):
        track += _variable_length(tick - clock) + message
        clock = tick
    track += b"\x00\xff\x2f\x00"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS_PER_BEAT) + b"MTrk" + struct.pack(">I", len(track)) + track
