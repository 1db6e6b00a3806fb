"""PPO in one file, to be read from top to bottom: PyTorch, a batch of worlds, and nothing else.

    python examples/ppo_single_file.py --env-id PocketWorlds/Reach-v0
    python examples/ppo_single_file.py --env-id PocketWorlds/Push-v0 --demonstrations 100 --log-std -1.5 --out out/push

After Schulman et al., "Proximal Policy Optimization Algorithms" (2017), with the details of Huang et al., "The 37
Implementation Details of Proximal Policy Optimization" (2022) that matter here. What is particular to this suite:

- Worlds reset in the step that ends an episode (`SAME_STEP`): no step is lost, and what the policy saw last is in
  `final_obs`. Episodes are cut by time and never by success, so that the value of `final_obs` goes on where they end.
- All episodes have the same length. Worlds that all start together would fill a batch with beginnings, and the next
  with ends; so their first episodes are cut to different lengths (`elapsed`).
- `--demonstrations` of the scripted expert are where to begin what is not found by trying.

Writes `curve.csv` (one line an iteration) and `policy.pt` to `--out`.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pocketworlds  # noqa: F401 - registers the environments
import torch
from gymnasium.vector import AutoresetMode
from pocketworlds.agents.experts import make_expert
from torch import Tensor, nn


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--env-id", default="PocketWorlds/Reach-v0")
    add("--total-steps", type=int, default=150_000, help="control steps of all worlds together")
    add("--num-envs", type=int, default=64)
    add("--rollout", type=int, default=32, help="actions of each world between two updates")
    add("--epochs", type=int, default=8, help="passes over each batch")
    add("--minibatch", type=int, default=512)
    add("--learning-rate", type=float, default=1e-3, help="of the policy, at the start; falls to a tenth")
    add("--critic-learning-rate", type=float, default=1e-3, help="of the value, likewise")
    add("--gamma", type=float, default=0.97)
    add("--gae-lambda", type=float, default=0.95)
    add("--clip", type=float, default=0.2)
    add("--entropy", type=float, default=0.0, help="weight of the bonus")
    add("--log-std", type=float, default=-0.7, help="logarithm of the actions' standard deviation at the start")
    add("--hidden", type=int, default=128, help="width of the two hidden layers")
    add("--max-kl", type=float, default=0.03, help="a policy that has moved further waits for the next batch")
    add("--demonstrations", type=int, default=0, help="episodes of the scripted expert to imitate first")
    add("--critic-first", type=int, default=5, help="iterations for the value alone, after demonstrations")
    add("--eval-episodes", type=int, default=100)
    add("--seed", type=int, default=0)
    add("--torch-threads", type=int, default=1, help="small networks are no faster on more")
    add("--out", type=Path, default=Path("out/ppo"))
    return parser.parse_args()


class Agent(nn.Module):
    """Normalises observations with what it has seen; a Gaussian policy and a value, each a small network."""

    def __init__(self, observations: int, actions: int, hidden: int, log_std: float) -> None:
        super().__init__()

        def network(outputs: int, gain: float) -> nn.Sequential:
            layers = [nn.Linear(observations, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, outputs)]
            for layer, scale in zip(layers, (2**0.5, 2**0.5, gain), strict=True):
                nn.init.orthogonal_(layer.weight, scale)
                nn.init.zeros_(layer.bias)
            return nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])

        self.actor, self.critic = network(actions, 0.01), network(1, 1.0)
        self.log_std = nn.Parameter(torch.full((actions,), log_std))
        self.mean: Tensor
        self.var: Tensor
        self.count: Tensor
        self.register_buffer("mean", torch.zeros(observations))
        self.register_buffer("var", torch.ones(observations))
        self.register_buffer("count", torch.tensor(1e-4))

    def see(self, batch: Tensor) -> None:
        """Takes observations (m, D) into the running mean and variance (Chan et al., 1979)."""
        mean, var, n = batch.mean(0), batch.var(0, unbiased=False), len(batch)
        apart, total = mean - self.mean, self.count + n
        square = self.var * self.count + var * n + apart**2 * self.count * n / total
        self.mean, self.var, self.count = self.mean + apart * n / total, square / total, total

    def normal(self, observation: Tensor) -> Tensor:
        """Observations (..., D) with mean 0 and variance 1."""
        return ((observation - self.mean) / (self.var + 1e-6).sqrt()).clamp(-10, 10)

    def act(self, x: Tensor) -> Tensor:
        """Actions (m, A) drawn for normalised observations (m, D): the network's, and independent normal noise."""
        mean: Tensor = self.actor(x)
        return mean + self.log_std.exp() * torch.randn_like(mean)

    def log_chance(self, x: Tensor, action: Tensor) -> Tensor:
        """Logarithm (m,) of the density of actions (m, A) at normalised observations (m, D)."""
        apart = (action - self.actor(x)) / self.log_std.exp()
        chances: Tensor = -0.5 * apart.square() - self.log_std - 0.5 * math.log(2 * math.pi)
        return chances.sum(1)

    def entropy(self) -> Tensor:
        """Of the policy's actions, the same everywhere."""
        return (self.log_std + 0.5 * math.log(2 * math.pi * math.e)).sum()

    def value(self, x: Tensor) -> Tensor:
        """Of normalised observations (m, D): values (m,)."""
        found: Tensor = self.critic(x)
        return found[:, 0]


def imitate(agent: Agent, env_id: str, episodes: int, seed: int) -> int:
    """Fits the policy's mean to what the expert does (Rajeswaran et al., DAPG, 2018); gives the steps this took.

    The worlds act with noise, more in some than in others, and the expert says what it would do without: so the data
    shows the way back too (Laskey et al., DART, 2017).
    """
    rng = np.random.default_rng(seed)
    env: Any = gym.make_vec(env_id, num_envs=episodes, autoreset_mode=AutoresetMode.DISABLED)
    observation, _ = env.reset(seed=seed + 500_000)
    expert, seen, done = make_expert(env), [], []
    noise = rng.uniform(0, 0.4, (episodes, 1))
    for _ in range(env.unwrapped.max_episode_steps):
        seen.append(torch.as_tensor(observation))
        done.append(torch.as_tensor(expert.act()))
        observation, *_ = env.step((done[-1].numpy() + noise * rng.normal(size=done[-1].shape)).astype(np.float32))
    env.close()
    observations, actions = torch.cat(seen), torch.cat(done)
    agent.see(observations)
    optimizer = torch.optim.Adam(agent.actor.parameters(), lr=1e-3)
    for _ in range(40):
        for rows in torch.split(torch.randperm(len(actions)), 256):
            loss = (agent.actor(agent.normal(observations[rows])) - actions[rows]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    print(f"imitated {len(actions)} steps of the expert, mean square error {loss.item():.4f}")
    return len(actions)


@torch.no_grad()
def evaluate(agent: Agent, env_id: str, episodes: int, *, seed: int) -> tuple[float, float]:
    """Success of the policy's mean actions at the end of `episodes` episodes nobody trained on, and at any step."""
    env: Any = gym.make_vec(env_id, num_envs=episodes, autoreset_mode=AutoresetMode.DISABLED)
    observation, info = env.reset(seed=seed)
    ever, done = info["is_success"], np.zeros(episodes, dtype=np.bool_)
    while not done.all():  # all episodes have the same length
        mean = agent.actor(agent.normal(torch.as_tensor(observation)))
        observation, _, terminated, truncated, info = env.step(mean.clamp(-1, 1).numpy())
        ever, done = ever | info["is_success"], terminated | truncated
    env.close()
    return float(info["is_success"].mean()), float(ever.mean())


def main() -> None:
    """Trains, evaluates, writes."""
    args = arguments()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.torch_threads)
    args.out.mkdir(parents=True, exist_ok=True)

    env: Any = gym.make_vec(args.env_id, num_envs=args.num_envs, autoreset_mode=AutoresetMode.SAME_STEP)
    n, steps = args.num_envs, args.rollout
    agent = Agent(env.single_observation_space.shape[0], env.single_action_space.shape[0], args.hidden, args.log_std)
    rates = (args.learning_rate, args.critic_learning_rate)
    parts = ([*agent.actor.parameters(), agent.log_std], [*agent.critic.parameters()])
    optimizer = torch.optim.Adam([{"params": p, "lr": r} for p, r in zip(parts, rates, strict=True)], eps=1e-5)
    iterations = max(args.total_steps // (n * steps), 1)

    start = time.perf_counter()
    begun = np.random.default_rng(args.seed).permutation(n) * env.unwrapped.max_episode_steps // n
    first, _ = env.reset(seed=args.seed, options={"elapsed": begun})
    observation, taken = torch.as_tensor(first), 0
    agent.see(observation)
    if args.demonstrations:
        taken += imitate(agent, args.env_id, args.demonstrations, args.seed)
        at_end, _ = evaluate(agent, args.env_id, args.eval_episodes, seed=2_000_000)
        print(f"after imitation: solved at the end {at_end:.2f}", flush=True)
    observations = torch.zeros(steps, n, *env.single_observation_space.shape)
    actions = torch.zeros(steps, n, *env.single_action_space.shape)
    chances, rewards, values, ends = (torch.zeros(steps, n) for _ in range(4))
    successes: list[float] = []

    for iteration in range(iterations):
        share = iteration / iterations
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * (1 - 0.9 * share)

        # Play. What the policy was normalised with stays the same during a rollout.
        seen: list[Tensor] = []
        with torch.no_grad():
            for t in range(steps):
                x = agent.normal(observation)
                action = agent.act(x)
                observations[t], actions[t], values[t] = x, action, agent.value(x)
                chances[t] = agent.log_chance(x, action)
                seen.append(observation)
                following, reward, terminated, truncated, info = env.step(action.clamp(-1, 1).numpy())
                observation, rewards[t] = torch.as_tensor(following), torch.as_tensor(reward, dtype=torch.float32)
                done = terminated | truncated
                ends[t] = torch.as_tensor(done)
                if done.any():
                    # Time is up, but the world would have gone on: its value goes into the last reward.
                    cut = np.flatnonzero(truncated)
                    final = torch.as_tensor(np.stack(list(info["final_obs"][cut])))
                    rewards[t, cut] += args.gamma * agent.value(agent.normal(final))
                    successes += info["final_info"]["is_success"][done].tolist()

            # Advantages: Schulman et al., "High-Dimensional Continuous Control Using Generalized Advantage
            # Estimation" (2016). After an end the next value is another episode's and does not count.
            advantages = torch.zeros(steps, n)
            following_value, carried = agent.value(agent.normal(observation)), torch.zeros(n)
            for t in reversed(range(steps)):
                goes_on = 1 - ends[t]
                error = rewards[t] + args.gamma * following_value * goes_on - values[t]
                carried = error + args.gamma * args.gae_lambda * goes_on * carried
                advantages[t], following_value = carried, values[t]
            targets = (advantages + values).flatten()

        # Learn.
        flat = {"x": observations.flatten(0, 1), "a": actions.flatten(0, 1), "c": chances.flatten()}
        gain = advantages.flatten()
        passes = 0
        # A value that knows nothing would undo what was imitated.
        frozen = args.demonstrations > 0 and iteration < args.critic_first
        for _ in range(args.epochs):
            passes += not frozen
            moved = []
            for rows in torch.split(torch.randperm(n * steps), args.minibatch):
                log_ratio = agent.log_chance(flat["x"][rows], flat["a"][rows]) - flat["c"][rows]
                ratio = log_ratio.exp()
                better = (gain[rows] - gain[rows].mean()) / (gain[rows].std() + 1e-8)
                limited = ratio.clamp(1 - args.clip, 1 + args.clip)
                policy_loss = -torch.minimum(ratio * better, limited * better).mean()
                value_loss = 0.5 * (agent.value(flat["x"][rows]) - targets[rows]).square().mean()
                loss: Any = 0.5 * value_loss
                if not frozen:
                    loss = loss + policy_loss - args.entropy * agent.entropy()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
                optimizer.step()
                moved.append(float((ratio - 1 - log_ratio).detach().mean()))
            frozen = frozen or float(np.mean(moved)) > args.max_kl
        if not args.demonstrations:  # what was imitated, was so with this normalisation
            agent.see(torch.cat(seen))

        taken += n * steps
        lately = successes[-2 * n :]
        line = {
            "steps": taken,
            "seconds": round(time.perf_counter() - start, 1),
            "reward": round(float(np.mean(rewards[ends == 0].numpy())), 4),
            "success": round(float(np.mean(lately)), 4) if lately else 0.0,
            "passes": passes,
            "std": round(float(agent.log_std.detach().exp().mean()), 4),
        }
        with (args.out / "curve.csv").open("a" if iteration else "w", newline="") as file:
            writer = csv.DictWriter(file, list(line), lineterminator="\n")
            if iteration == 0:
                writer.writeheader()
            writer.writerow(line)
        if iteration % 10 == 9 or iteration == iterations - 1:
            torch.save(agent.state_dict(), args.out / "policy.pt")
            print(", ".join(f"{name} {value:g}" for name, value in line.items()), flush=True)

    seconds = time.perf_counter() - start
    env.close()
    print(f"{taken} steps in {seconds:.0f} s, {taken / seconds:.0f} a second")
    at_end, ever = evaluate(agent, args.env_id, args.eval_episodes, seed=1_000_000)
    print(f"{args.env_id}: solved at the end {at_end:.2f}, at any step {ever:.2f} of {args.eval_episodes} episodes")


if __name__ == "__main__":
    main()
