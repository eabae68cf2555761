import type { EventEmitter } from "node:events";

/** What an engine tells about itself and its images. Past tense: logs and tests listen, nobody decides by them. */
export type EngineEvents = {
  /** A list showed what the event stream had not brought; it is opened anew. `times`: in a row, without an event between. */
  "events:silent": [{ missing: number; times: number }];
  /** A pull brought an image that was not here. */
  "image:pulled": [{ image: string; id: string; tookMs: number }];
  /** `imagePullPolicy: always`, and the registry gave nothing: the image that was here already is used. */
  "image:stale": [{ image: string; error: unknown }];
  /** Pulled by us, used by nobody: it is gone. */
  "image:removed": [{ image: string; id: string }];
  /** It should have gone, and is tried again after another grace. */
  "image:kept": [{ image: string; id: string; error: unknown }];
  /** STATE_DIR could not take down that we pulled it: nobody will remove it after a restart of the runtime. */
  "image:unrecorded": [{ image: string; error: unknown }];
  /** REGISTRY_AUTH_FILE changed into something that cannot be read: what it said before goes on. */
  "credentials:refused": [{ error: unknown }];
};

export type EngineBus = EventEmitter<EngineEvents>;
