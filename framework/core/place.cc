// SPDX-License-Identifier: Apache-2.0
#include "framework/core/place.h"

#include "framework/core/error.h"
#include "framework/core/torch_compat.h"

#include <filesystem>
#include <new>

namespace triptych {
namespace {

class PlacedError final : public Error {
 public:
  using Error::Error;
};

}  // namespace

bool is_out_of_memory(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return true;
  if (dynamic_cast<const std::length_error*>(&error) != nullptr) return true;
  if (dynamic_cast<const Error*>(&error) != nullptr) return false;
  const std::string message = message_without_backtrace(error);
  return message.find("allocate memory") != std::string::npos ||
         message.find("out of memory") != std::string::npos;
}

void rethrow_at(const std::string& place) {
  try {
    throw;
  } catch (const PlacedError&) {
    throw;
  } catch (const ConfigError&) {
    throw;
  } catch (const std::filesystem::filesystem_error&) {
    throw;
  } catch (const Error& error) {
    throw PlacedError(error.category(), fmt::format("{}: {}", place, error.what()), error.hint());
  } catch (const std::exception& error) {
    if (is_out_of_memory(error)) throw;
    throw PlacedError("model", fmt::format("{}: {}", place, message_without_backtrace(error)));
  }
}

}  // namespace triptych
