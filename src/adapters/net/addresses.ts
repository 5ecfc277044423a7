/** Which IP addresses an outbound request may reach: the guard against requests forged through a document's URL (SSRF). */
import { BlockList, isIP, isIPv4 } from 'node:net';

/**
 * `public` is the internet. `private` is reached only where a document names the host. `never` is reached by nobody:
 * link-local (the cloud metadata services live there), multicast, unspecified, reserved.
 */
export type Reach = 'public' | 'private' | 'never';

const loopback = blockList(['127.0.0.0/8', '::1/128']);
const privateUse = blockList([
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10', // carrier-grade NAT
  '198.18.0.0/15', // benchmarks
  'fc00::/7', // unique local
]);
const neverIpv4 = blockList([
  '0.0.0.0/8',
  '169.254.0.0/16', // link-local
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24', // 6to4 relays
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and broadcast
  '100.100.100.200/32', // a metadata service within carrier-grade NAT
  '168.63.129.16/32', // Azure's own, on every virtual machine
  '192.0.0.192/32',
]);
/** Global unicast. All else is refused: mapped and translated IPv4 (::ffff:0:0/96, 64:ff9b::/96) would hide an address. */
const globalIpv6 = blockList(['2000::/3']);
const neverIpv6 = blockList([
  '2001::/23', // protocol assignments, Teredo among them
  '2001:db8::/32',
  '2002::/16', // 6to4
  '3fff::/20', // documentation
  'fd00:ec2::254/128', // a metadata service within unique local
]);

export function isLoopbackAddress(address: string): boolean {
  return contains(loopback, address);
}

/** The reach of an address as `net.isIP` knows it; whatever is not an address is `never`. */
export function reachOf(address: string): Reach {
  if (isIP(address) === 0) return 'never';
  if (contains(isIPv4(address) ? neverIpv4 : neverIpv6, address)) return 'never';
  if (contains(loopback, address) || contains(privateUse, address)) return 'private';
  return isIPv4(address) || contains(globalIpv6, address) ? 'public' : 'never';
}

function contains(list: BlockList, address: string): boolean {
  // BlockList would look through an IPv4-mapped address; here that is an IPv6 address like any other, and not global.
  if (isIPv4(address)) return list.check(address, 'ipv4');
  return !/^::(ffff:)?[0-9.]+\.[0-9.]+$|^::ffff:/i.test(address) && list.check(address, 'ipv6');
}

function blockList(subnets: readonly string[]): BlockList {
  const list = new BlockList();
  for (const subnet of subnets) {
    const [network = '', prefix = ''] = subnet.split('/');
    list.addSubnet(network, Number(prefix), isIPv4(network) ? 'ipv4' : 'ipv6');
  }
  return list;
}
