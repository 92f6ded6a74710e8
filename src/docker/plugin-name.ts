/**
 * Engines call the driver of a managed plugin by the plugin's full name, as it was created: `berth:latest`, `registry:5000/team/berth:2`.
 * What its agent serves is the last part; only full names have a tag (distribution/reference).
 */
export function pluginName(driver: string): string {
  return /^(?:.*\/)?([^/:]+):[^/:]+$/.exec(driver)?.[1] ?? driver;
}
