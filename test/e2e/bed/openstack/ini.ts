/** Configuration files of OpenStack (oslo.config). */

export type Ini = Readonly<Record<string, Readonly<Record<string, string | number | boolean>>>>;

export function ini(sections: Ini): string {
  return Object.entries(sections)
    .map(([name, options]) =>
      [`[${name}]`, ...Object.entries(options).map(([key, value]) => `${key} = ${String(value)}`), ''].join('\n'),
    )
    .join('\n');
}
