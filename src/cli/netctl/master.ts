/** The requests that commands make of a master: Contiv's paths and bodies. */

/** An object as the master has it. */
export type Fields = Readonly<Record<string, unknown>>;

export interface Master {
  /**
   * All objects of a type, sorted by key.
   *
   * @param tenant leaves out most of those of other tenants, not all.
   * @throws MasterFailure, as the others do.
   */
  list(type: string, tenant?: string): Promise<readonly Fields[]>;
  get(type: string, key: Key): Promise<Fields>;
  /** What it is configured to be, and how it is. */
  inspect(type: string, key: Key): Promise<unknown>;
  /** Creates the object, or changes it. Fields that are empty are left out, as Contiv's own client does. */
  put(type: string, key: Key, fields: Fields): Promise<unknown>;
  remove(type: string, key: Key): Promise<unknown>;
  version(): Promise<Fields>;
  /** Asks for a token with a name and a password. */
  login(username: string, password: string): Promise<Fields>;
}

/** The parts of a key, such as tenant and network. */
export type Key = readonly string[];
