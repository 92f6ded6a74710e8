import { describe } from 'node:test';
import { namesDns } from './suites/names-dns.ts';
import { namesMdns } from './suites/names-mdns.ts';
import { namesSix } from './suites/names-six.ts';
import { namesStage } from './suites/names-stage.ts';

describe('names on the LAN', () => {
  const stage = namesStage();
  describe('at a DNS server', () => namesDns(stage));
  describe('in multicast DNS', () => namesMdns(stage));
});

describe('names on a LAN that has IPv6 only', () => namesSix());
