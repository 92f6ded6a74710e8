import { describe } from 'node:test';
import { namesDns } from './suites/names-dns.ts';
import { namesMdns } from './suites/names-mdns.ts';
import { namesStage } from './suites/names-stage.ts';

describe('names on the LAN', () => {
  const stage = namesStage();
  describe('at a DNS server', () => namesDns(stage));
  describe('in multicast DNS', () => namesMdns(stage));
});
