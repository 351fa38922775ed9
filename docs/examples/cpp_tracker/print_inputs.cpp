// Reads f, frames, positions, temporal and each frame's memory and pointer as raw float32 from standard input, and writes
// the inputs of memory attention for every frame to standard output. Used to compare bank.hpp with the Python bank.
#include <cstdio>

#include "bank.hpp"

static std::vector<float> take(std::size_t count) {
    std::vector<float> values(count);
    if (std::fread(values.data(), sizeof(float), count, stdin) != count) values.clear();
    return values;
}

static void give(const std::vector<float>& values) { std::fwrite(values.data(), sizeof(float), values.size(), stdout); }

int main() {
    const auto sizes = take(2);
    if (sizes.empty()) return 1;
    const auto area = static_cast<std::size_t>(sizes[0] * sizes[0]);
    const auto positions = take(area * 64), temporal = take(7 * 64);
    Bank bank(0);
    for (int frame = 1; frame <= static_cast<int>(sizes[1]); ++frame) {
        const auto memory = take(64 * area), pointer = take(256);
        bank.remember(memory, pointer);
        const auto made = bank.inputs(frame, positions, temporal);
        give(made.memory_0);
        give(made.memory_1);
        give(made.memory_pos_embed);
        give({made.cond_frame_id_diff});
    }
}
