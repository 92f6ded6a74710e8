/** The version of Berth, as `package.json` has it; a test compares. */
export const version = '0.1.0';
