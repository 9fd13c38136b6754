// What the methods about a repository have in common in the machine interface: opening it, and locking it.
#pragma once

#include <memory>
#include <stop_token>

#include <recoup/ops/snapshots.hpp>
#include <recoup/repo/lock.hpp>
#include <recoup/repo/repository.hpp>

#include "engine_storage.hpp"

namespace recoup::cli {

/// The parameters `s3` and `repository` of a request.
struct engine_target {
  engine_target(const engine_call& call, const engine_parameters& from)
      : s3(read_s3(call, from)), place(read_place(call, from, "repository")) {}

  engine_s3 s3;
  engine_place place;
};

/// Throws repository_missing and wrong_password with the parameter that is to blame, invalid_argument without a password.
[[nodiscard]] std::shared_ptr<repository> open_repository(const engine_call& call, const engine_s3& s3,
                                                          const engine_place& place);
[[nodiscard]] inline std::shared_ptr<repository> open_repository(const engine_call& call,
                                                                 const engine_target& target) {
  return open_repository(call, target.s3, target.place);
}
/// With a config that has been read already.
[[nodiscard]] std::shared_ptr<repository> open_repository(const engine_call& call, const engine_place& place,
                                                          std::shared_ptr<backend> storage, bytes sealed_config);

/// The password, for what cannot do without. Throws for one that is missing.
[[nodiscard]] std::string_view password_of(const engine_place& place);

/// A lock, and what stops the work under it: a signal, or that the lock could not be kept.
class engine_lock {
public:
  engine_lock(const engine_call& call, repository& repo, bool exclusive);

  [[nodiscard]] std::stop_token token() const noexcept { return stop_.get_token(); }
  [[nodiscard]] bool has_name(const id& lock) const { return lock_.has_name(lock); }

private:
  using forward = std::stop_callback<std::function<void()>>;

  repository_lock lock_;
  std::stop_source stop_;
  forward signal_, lost_;
};

/// The parameter `filter`: {"hosts":[…],"tags":["a,b",…],"paths":[…]}.
[[nodiscard]] snapshot_filter read_filter(const engine_parameters& from);

// Of the methods that add_repository_methods() adds, those in engine_key.cpp and engine_snapshots.cpp.
void add_key_methods(engine_methods& to);
void add_snapshot_methods(engine_methods& to);

}  // namespace recoup::cli
