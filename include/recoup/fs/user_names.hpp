// Names of users and groups, remembered: looking one up can mean asking a directory server.
#pragma once

#include <grp.h>
#include <pwd.h>
#include <sys/types.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace recoup {

/// Any thread may ask. Ids met before are found without a lock, because every entry of a backup asks twice.
class user_names {
public:
  /// "" if no such user is known. Valid as long as this object.
  [[nodiscard]] const std::string& user(std::uint32_t uid) { return users_.name(uid, &look_up_user); }
  [[nodiscard]] const std::string& group(std::uint32_t gid) { return groups_.name(gid, &look_up_group); }

  [[nodiscard]] std::optional<std::uint32_t> uid(const std::string& name) { return users_.number(name, &look_up_uid); }
  [[nodiscard]] std::optional<std::uint32_t> gid(const std::string& name) { return groups_.number(name, &look_up_gid); }

private:
  class cache {
  public:
    const std::string& name(std::uint32_t number, std::string (*look_up)(std::uint32_t)) {
      auto& slot = slots_[number % slots_.size()];
      const entry* found = slot.load(std::memory_order_acquire);
      if (found != nullptr && found->number == number) return found->name;

      const std::lock_guard lock(mutex_);
      auto [place, is_new] = by_number_.try_emplace(number, nullptr);
      if (is_new) place->second = &entries_.emplace_back(entry{number, look_up(number)});
      slot.store(place->second, std::memory_order_release);
      return place->second->name;
    }

    std::optional<std::uint32_t> number(const std::string& name,
                                        std::optional<std::uint32_t> (*look_up)(const std::string&)) {
      if (name.empty()) return std::nullopt;
      const std::lock_guard lock(mutex_);
      auto found = by_name_.find(name);
      if (found == by_name_.end()) found = by_name_.emplace(name, look_up(name)).first;
      return found->second;
    }

  private:
    struct entry {
      std::uint32_t number;
      std::string name;
    };

    std::array<std::atomic<const entry*>, 64> slots_{};  // the last id met with these low bits
    std::mutex mutex_;
    std::deque<entry> entries_;  // a deque, because it never moves them
    std::map<std::uint32_t, const entry*> by_number_;
    std::map<std::string, std::optional<std::uint32_t>> by_name_;
  };

  /// Calls one of the get…_r functions with as much memory as it wants. True if it found something.
  template <class Record, class Call>
  static bool ask(Record& record, std::vector<char>& memory, Call call) {
    constexpr std::size_t largest = 1 << 20;  // a group with 100,000 members
    memory.resize(4096);
    for (;;) {
      Record* found = nullptr;
      const int status = call(&record, memory.data(), memory.size(), &found);
      if (status == EINTR) continue;
      if (status == ERANGE && memory.size() < largest) {
        memory.resize(memory.size() * 4);
        continue;
      }
      return status == 0 && found != nullptr;
    }
  }

  static std::string look_up_user(std::uint32_t uid) {
    passwd record{};
    std::vector<char> memory;
    const bool found = ask(record, memory, [uid](passwd* into, char* buffer, std::size_t size, passwd** result) {
      return ::getpwuid_r(uid, into, buffer, size, result);
    });
    return found ? record.pw_name : "";
  }

  static std::string look_up_group(std::uint32_t gid) {
    struct group record {};
    std::vector<char> memory;
    const bool found = ask(record, memory, [gid](struct group* into, char* buffer, std::size_t size,
                                                 struct group** result) {
      return ::getgrgid_r(gid, into, buffer, size, result);
    });
    return found ? record.gr_name : "";
  }

  static std::optional<std::uint32_t> look_up_uid(const std::string& name) {
    passwd record{};
    std::vector<char> memory;
    const bool found = ask(record, memory, [&name](passwd* into, char* buffer, std::size_t size, passwd** result) {
      return ::getpwnam_r(name.c_str(), into, buffer, size, result);
    });
    return found ? std::optional<std::uint32_t>(record.pw_uid) : std::nullopt;
  }

  static std::optional<std::uint32_t> look_up_gid(const std::string& name) {
    struct group record {};
    std::vector<char> memory;
    const bool found = ask(record, memory, [&name](struct group* into, char* buffer, std::size_t size,
                                                   struct group** result) {
      return ::getgrnam_r(name.c_str(), into, buffer, size, result);
    });
    return found ? std::optional<std::uint32_t>(record.gr_gid) : std::nullopt;
  }

  cache users_, groups_;
};

}  // namespace recoup
