// A runner that never ends: its configuration does not either.
export default new Promise(() => {
  setInterval(() => {}, 1000);
});
