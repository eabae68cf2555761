/** What an operator or a kubelet sends: the first asks for an orderly end, the second for an end at once. */
export type Signals = {
  /** Aborts with the first SIGTERM or SIGINT. */
  readonly stop: AbortSignal;
  /** Aborts with the second. */
  readonly kill: AbortSignal;
  /** Ask for an orderly end from inside. */
  requestStop(): void;
  close(): void;
};

/** SIGHUP and SIGPIPE stay as they are: a closed terminal or log pipe is no order to stop bots. */
export function listenForSignals(): Signals {
  const stop = new AbortController();
  const kill = new AbortController();
  const onSignal = (name: NodeJS.Signals): void => (stop.signal.aborted ? kill : stop).abort(new Error(`Cannot go on after ${name}`));
  for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, onSignal);
  return {
    stop: stop.signal,
    kill: kill.signal,
    requestStop: () => stop.abort(new Error("Cannot go on after a request to stop")),
    close: () => {
      for (const name of ["SIGTERM", "SIGINT"] as const) process.off(name, onSignal);
    },
  };
}
