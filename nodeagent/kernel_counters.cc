// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/kernel_counters.h"

namespace longshore::nodeagent {

Counters& Counters::operator+=(const Counters& other) {
  cpu_ns += other.cpu_ns;
  run_queue_wait_ns += other.run_queue_wait_ns;
  slices += other.slices;
  read_bytes += other.read_bytes;
  write_bytes += other.write_bytes;
  read_ops += other.read_ops;
  write_ops += other.write_ops;
  return *this;
}

}  // namespace longshore::nodeagent
