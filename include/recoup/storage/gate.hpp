// Lets a repository be read while it must not be changed yet.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <recoup/storage/forwarding.hpp>

namespace recoup {

/// Calls a function before each change to the storage, except to locks: it waits until changes are allowed, or throws. Files
/// may grow meanwhile, since nobody sees them before they are saved.
class gated_backend : public forwarding_backend {
public:
  explicit gated_backend(std::shared_ptr<backend> inner) : forwarding_backend(std::move(inner)) {}

  /// `wait` may be called from any thread. To be set before other threads use the storage.
  void hold(std::function<void()> wait) { wait_ = std::move(wait); }

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
  void remove(const stored_file& file) override {
    if (file.type != file_type::lock) pass();
    inner_->remove(file);
  }

private:
  class held_file : public growing_file {
  public:
    held_file(gated_backend& gate, std::unique_ptr<growing_file> inner)
        : growing_file(std::move(inner->tail)), gate_(gate), inner_(std::move(inner)) {}
    void take_tail() override {
      const lent_tail lent(tail, inner_->tail);
      inner_->take_tail();
    }
    void read_taken(bytes& into) const override { inner_->read_taken(into); }
    void save(const stored_file& file) override {
      gate_.pass();
      const lent_tail lent(tail, inner_->tail);
      inner_->save(file);
    }

  private:
    /// The tail is the inner file's while that works on it.
    class lent_tail {
    public:
      lent_tail(bytes& ours, bytes& theirs) noexcept : ours_(ours), theirs_(theirs) { ours_.swap(theirs_); }
      lent_tail(const lent_tail&) = delete;
      lent_tail& operator=(const lent_tail&) = delete;
      ~lent_tail() { ours_.swap(theirs_); }

    private:
      bytes &ours_, &theirs_;
    };

    gated_backend& gate_;
    std::unique_ptr<growing_file> inner_;
  };

  void pass() const {
    if (wait_) wait_();
  }

  std::function<void()> wait_;
};

}  // namespace recoup
