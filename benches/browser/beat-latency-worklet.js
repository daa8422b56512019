// The worklet of beat-latency-page.js: hands over what it hears, and when each quantum of it came.
const QUANTA = 4;

registerProcessor(
  "tap",
  class extends AudioWorkletProcessor {
    #samples = [];
    #stamps = [];

    process([[channel]]) {
      if (!channel) return true;
      this.#samples.push(...channel);
      this.#stamps.push(Date.now());
      if (this.#stamps.length === QUANTA) {
        const samples = Float32Array.from(this.#samples);
        this.port.postMessage({ samples, stamps: this.#stamps }, [samples.buffer]);
        this.#samples = [];
        this.#stamps = [];
      }
      return true;
    }
  },
);
