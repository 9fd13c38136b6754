// Lets a repository be read while it must not be changed yet.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <recoup/storage/backend.hpp>

namespace recoup {

/// Calls a function before each change to the storage, except to locks: it waits until changes are allowed, or throws. Files
/// may grow meanwhile, since nobody sees them before they are saved.
class gated_backend : public backend {
public:
  explicit gated_backend(std::shared_ptr<backend> inner) : inner_(std::move(inner)) {}

  /// `wait` may be called from any thread. To be set before other threads use the storage.
  void hold(std::function<void()> wait) { wait_ = std::move(wait); }

  [[nodiscard]] std::string location() const override { return inner_->location(); }
  [[nodiscard]] unsigned connections() const override { return inner_->connections(); }
  [[nodiscard]] unsigned connections_now() const override { return inner_->connections_now(); }
  void create() override {
    pass();
    inner_->create();
  }
  void save(const stored_file& file, byte_view content) override {
    if (file.type != file_type::lock) pass();
    inner_->save(file, content);
  }
  [[nodiscard]] std::unique_ptr<growing_file> begin(file_type type, bytes memory) override {
    return std::make_unique<held_file>(*this, inner_->begin(type, std::move(memory)));
  }
  void load(const stored_file& file, std::uint64_t offset, byte_span into) override { inner_->load(file, offset, into); }
  using backend::load_all;
  void load_all(const stored_file& file, bytes& content) override { inner_->load_all(file, content); }
  [[nodiscard]] std::uint64_t size(const stored_file& file) override { return inner_->size(file); }
  void remove(const stored_file& file) override {
    if (file.type != file_type::lock) pass();
    inner_->remove(file);
  }
  void list(file_type type, const std::function<void(const listed_file&)>& visit) override { inner_->list(type, visit); }
  [[nodiscard]] bool is_worth_caching() const override { return inner_->is_worth_caching(); }
  [[nodiscard]] bool reload_may_help(const stored_file& file) override { return inner_->reload_may_help(file); }
  void forget_packs_other_than(const std::function<bool(const id&)>& is_known) override {
    inner_->forget_packs_other_than(is_known);
  }
  [[nodiscard]] std::string cache_directory() const override { return inner_->cache_directory(); }

private:
  class held_file : public growing_file {
  public:
    held_file(gated_backend& gate, std::unique_ptr<growing_file> inner)
        : growing_file(std::move(inner->tail)), gate_(gate), inner_(std::move(inner)) {}
    void take_tail() override {
      inner_->tail.swap(tail);
      try {
        inner_->take_tail();
      } catch (...) {
        inner_->tail.swap(tail);
        throw;
      }
      inner_->tail.swap(tail);
    }
    void read_taken(bytes& into) const override { inner_->read_taken(into); }
    void save(const stored_file& file) override {
      gate_.pass();
      inner_->tail.swap(tail);
      inner_->save(file);
      inner_->tail.swap(tail);
    }

  private:
    gated_backend& gate_;
    std::unique_ptr<growing_file> inner_;
  };

  void pass() const {
    if (wait_) wait_();
  }

  const std::shared_ptr<backend> inner_;
  std::function<void()> wait_;
};

}  // namespace recoup
