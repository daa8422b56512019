// A file that cannot be loaded: its tests are unknown, so it counts as one failure.
throw new Error("this file cannot be loaded");
