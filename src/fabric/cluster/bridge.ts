/** Bridges of virtual networks begin with this; rules for all of them match `bt+`. */
export const BRIDGE = 'bt';
