import type { Work } from '../program.ts';
export const doctor: Work = async () => undefined;
