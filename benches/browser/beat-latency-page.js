// The page's half of beat-latency.mjs.
import { createEngine } from "/index.js";

const QUANTUM = 128;
const SETTLING_SECONDS = 8;

/** Kick and snare at 112 BPM with quieter hats between, over a little noise. */
function drumLoop(context, seconds) {
  const buffer = context.createBuffer(1, seconds * context.sampleRate, context.sampleRate);
  const samples = buffer.getChannelData(0);
  let state = 1;
  const noise = () => {
    state = (state * 48271) % 2147483647;
    return (state / 2147483647) * 2 - 1;
  };
  for (let n = 0; n < samples.length; n++) samples[n] = 0.001 * noise();
  const half = (30 / 112) * context.sampleRate;
  for (let number = 0; number * half < samples.length; number++) {
    const start = Math.round((number + 1) * half);
    const [pitch, gain, decay, hiss] = number % 4 === 0 ? [60, 0.8, 14, 0] : number % 4 === 2 ? [190, 0.4, 25, 0.4] : [0, 0, 60, 0.15];
    for (let n = 0; n < 0.2 * context.sampleRate && start + n < samples.length; n++) {
      const time = n / context.sampleRate;
      samples[start + n] += Math.exp(-decay * time) * (gain * Math.sin(2 * Math.PI * pitch * time) + hiss * noise());
    }
  }
  return buffer;
}

export async function run({ method, seconds }) {
  const context = new AudioContext();
  const { sampleRate } = context;
  await context.audioWorklet.addModule("/beat-latency-worklet.js");
  const engine = await createEngine({ workers: 1 });
  const stream = await engine.beatStream({ sampleRate, method });
  const tap = new AudioWorkletNode(context, "tap", { numberOfOutputs: 0 });
  const source = new AudioBufferSourceNode(context, { buffer: drumLoop(context, seconds) });
  source.connect(tap);
  /** When each quantum entered the worklet, in milliseconds of the system's clock. */
  const entered = [];
  const [delays, algorithm] = [[], []];
  const work = [];
  tap.port.onmessage = ({ data: { samples, stamps } }) => {
    entered.push(...stamps);
    const heard = async () => {
      for (const { time, emittedAt } of await stream.push(samples)) {
        if (time < SETTLING_SECONDS) continue;
        delays.push(Date.now() - entered[Math.floor((time * sampleRate) / QUANTUM)]);
        algorithm.push(1000 * (emittedAt - time));
      }
    };
    work.push(heard());
  };
  const ended = new Promise((resolve) => source.addEventListener("ended", resolve));
  source.start();
  await ended;
  await Promise.all(work);
  const { latency, model } = stream;
  stream.close();
  await engine.dispose();
  await context.close();
  return {
    method,
    model,
    sampleRate,
    beats: delays.length,
    statedMilliseconds: 1000 * latency,
    delayMilliseconds: shares(delays),
    algorithmMilliseconds: shares(algorithm),
  };
}

function shares(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const at = (share) => Number((sorted[Math.round(share * (sorted.length - 1))] ?? Number.NaN).toFixed(1));
  return { p50: at(0.5), p95: at(0.95), most: at(1) };
}
