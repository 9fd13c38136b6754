// What is put in front of storage, and changes a little of what it does.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <recoup/storage/backend.hpp>

namespace recoup {

/// Hands every operation on. Derived classes override those that they change. All but begin(): a file that grows is kept in
/// memory and then saved by save(), so that whoever overrides that sees every file.
class forwarding_backend : public backend {
public:
  [[nodiscard]] std::string location() const override { return inner_->location(); }
  [[nodiscard]] unsigned connections() const override { return inner_->connections(); }
  [[nodiscard]] unsigned connections_now() const override { return inner_->connections_now(); }
  void create() override { inner_->create(); }
  void save(const stored_file& file, byte_view content) override { inner_->save(file, content); }
  void load(const stored_file& file, std::uint64_t offset, byte_span into) override { inner_->load(file, offset, into); }
  using backend::load_all;
  void load_all(const stored_file& file, bytes& content) override { inner_->load_all(file, content); }
  [[nodiscard]] std::uint64_t size(const stored_file& file) override { return inner_->size(file); }
  void remove(const stored_file& file) override { inner_->remove(file); }
  void list(file_type type, const std::function<void(const listed_file&)>& visit) override { inner_->list(type, visit); }
  [[nodiscard]] bool is_worth_caching() const override { return inner_->is_worth_caching(); }
  [[nodiscard]] bool reload_may_help(const stored_file& file) override { return inner_->reload_may_help(file); }
  void forget_packs_other_than(const std::function<bool(const id&)>& is_known) override {
    inner_->forget_packs_other_than(is_known);
  }
  [[nodiscard]] std::string cache_directory() const override { return inner_->cache_directory(); }

protected:
  explicit forwarding_backend(std::shared_ptr<backend> inner) : inner_(std::move(inner)) {}

  const std::shared_ptr<backend> inner_;
};

}  // namespace recoup
