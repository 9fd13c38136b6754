// What a backup's service may not do, although it is root's, and what it therefore could not back up.
//
// It has to read everything, so it keeps CAP_DAC_READ_SEARCH and sees all of the file system, read-only. It writes into
// its cache and, where the repository is a directory here, into that. What was considered, member of systemd.exec(5) by
// member:
//
//   ProtectHome=read-only     other users' homes stay visible: "yes" would back up empty directories
//   PrivateTmp=               hides the real /tmp and /var/tmp: left out where something in them is to be read
//   ProtectKernelModules=     hides /usr/lib/modules, ProtectKernelLogs= /dev/kmsg: left out where these are backed up
//   PrivateDevices=           would back up a made-up /dev. DevicePolicy=closed forbids opening devices, which
//                             no backup does: it stores a device node by looking at it
//   ProcSubset=, ProtectProc= /proc is nothing to back up, but a stale lock is known by its process not being there
//   PrivateUsers=             would turn all owners into nobody
//   CAP_DAC_OVERRIDE          only to write into a repository whose files may be another user's
//   CAP_SYS_ADMIN             is not kept, so that extended attributes "trusted.*" are not seen. Those are overlayfs's
//                             and the like; whoever needs them switches the hardening off
//   AF_NETLINK                glibc asks the kernel for its addresses before it looks up a name
//   SystemCallErrorNumber=    a call that is not allowed fails as one without permission does, rather than killing
//                             the backup
//
// What root cannot read anyway, as files on an NFS server that squashes root, is not readable here either. In an
// unprivileged container all of this needs name spaces to be allowed (Incus: security.nesting); the images' own
// settings for services switch off what is not, LoadCredential= among it.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/schedule/definition.hpp>
#include <recoup/schedule/unit_text.hpp>

namespace recoup {

namespace hardening {

/// True if one of the paths is `place`, lies in it, or it lies in one of them.
[[nodiscard]] inline bool concerns(const std::vector<std::string>& paths, std::string_view place) {
  const auto lies_in = [](std::string_view inner, std::string_view outer) {
    while (outer.size() > 1 && outer.ends_with('/')) outer.remove_suffix(1);
    return outer == "/" || (inner.starts_with(outer) && (inner.size() == outer.size() || inner[outer.size()] == '/'));
  };
  return std::ranges::any_of(paths,
                             [&](const std::string& path) { return lies_in(path, place) || lies_in(place, path); });
}

}  // namespace hardening

/// Lines of a [Service] section. `writable`: directories outside of the cache that the run has to write into.
[[nodiscard]] inline std::string render_hardening(const schedule_definition& definition,
                                                  std::vector<std::string> writable) {
  auto reads = definition.backup.paths;
  reads.insert(reads.end(), definition.backup.exclude_files.begin(), definition.backup.exclude_files.end());
  const auto reads_any = [&](std::initializer_list<std::string_view> places) {
    return std::ranges::any_of(places, [&](std::string_view place) { return hardening::concerns(reads, place); });
  };
  std::string capabilities = "CAP_DAC_READ_SEARCH";
  if (!writable.empty()) capabilities += " CAP_DAC_OVERRIDE";
  std::string text = "ProtectSystem=strict\nProtectHome=read-only\n";
  const bool private_tmp = !reads_any({"/tmp", "/var/tmp"}) && !hardening::concerns(writable, "/tmp") &&
                           !hardening::concerns(writable, "/var/tmp");
  if (private_tmp)
    text += "PrivateTmp=yes\n";
  else
    writable.insert(writable.end(), {"/tmp", "/var/tmp"});
  for (const auto& path : writable) text += "ReadWritePaths=-" + unit_path(path) + "\n";
  text += "NoNewPrivileges=yes\nCapabilityBoundingSet=" + capabilities + "\n";
  if (!reads_any({"/usr/lib/modules", "/lib/modules"})) text += "ProtectKernelModules=yes\n";
  if (!reads_any({"/dev", "/proc"})) text += "ProtectKernelLogs=yes\n";
  return text +
         "ProtectKernelTunables=yes\nProtectControlGroups=yes\nProtectClock=yes\nProtectHostname=yes\nDevicePolicy="
         "closed\n"
         "LockPersonality=yes\nMemoryDenyWriteExecute=yes\nRestrictRealtime=yes\nRestrictNamespaces="
         "yes\nRestrictSUIDSGID=yes\n"
         "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n"
         "SystemCallArchitectures=native\nSystemCallFilter=@system-service\nSystemCallErrorNumber=EPERM\n";
}

}  // namespace recoup
