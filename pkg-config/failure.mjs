// A failure that the reader of the terminal can act on: one sentence, an exit status, and where the full log lies.

export class SetupFailure extends Error {
  /**
   * @param {string} message what was found, what is needed and what to do
   * @param {{ status?: number, log?: string }} [options] status: 2 when the machine lacks something, 1 when a step failed
   */
  constructor(message, { status = 1, log } = {}) {
    super(message);
    this.name = "SetupFailure";
    this.status = status;
    this.log = log;
  }
}

/** Prints a failure the way every script ends on one, and returns the exit status. */
export function report(error) {
  if (!(error instanceof SetupFailure)) {
    console.error(error);
    return 1;
  }
  console.error(`\n${error.message}`);
  if (error.log) console.error(`full log: ${error.log}`);
  return error.status;
}
