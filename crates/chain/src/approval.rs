//! Approvals: the contract is allowed to take the tokens that a call pays in.

use l1::evm::abi;
use l1::{Address, NativeL1, Refusal};
use rollup::Call;

use crate::access::Access;
use crate::error::ChainError;
use crate::outbox::Intent;

impl Access {
    /// Approves an amount of an ERC-20, unless the allowance is large enough.
    fn approve(
        &mut self,
        contract: Address,
        mirror: &NativeL1,
        (token, amount): (u32, u128),
    ) -> Result<(), ChainError> {
        if token == 0 || amount == 0 {
            return Ok(());
        }
        let tokens = mirror.tokens()?;
        let place = usize::try_from(token)
            .ok()
            .and_then(|place| tokens.get(place));
        let Some(erc20) = place.map(|token| token.address) else {
            let tokens = tokens.len();
            return Err(ChainError::Mirror(
                Refusal::UnknownToken { token, tokens }.into(),
            ));
        };
        let owner = self.caller()?;
        let allowed = self.contract(contract, None).allowance(erc20, owner)?;
        if allowed >= amount {
            return Ok(());
        }
        // Why 0 first: some tokens refuse to change an allowance that is not 0.
        let steps = [(allowed > 0).then_some(0), Some(amount)];
        for amount in steps.into_iter().flatten() {
            let arguments = [abi::address(&contract), abi::uint(amount)];
            let data = abi::call("approve(address,uint256)", &arguments);
            let intent = Intent {
                what: "the approval",
                to: Some(erc20),
                value: 0,
                data: &data,
                acknowledge: false,
                gas_bound: 0,
            };
            let (rpc, sender) = self.sending()?;
            let included = sender.send(rpc, &intent)?;
            let what = intent.what;
            let included = self.check_success(included, what, |_, it| Ok((it, false)))?;
            self.sending()?.1.drop_record(included.id)?;
        }
        Ok(())
    }

    /// Approves what a call pays in.
    pub(crate) fn approve_for(
        &mut self,
        contract: Address,
        mirror: &NativeL1,
        call: Call<'_>,
    ) -> Result<(), ChainError> {
        match call {
            Call::Deposit(deposit) => {
                self.approve(contract, mirror, (deposit.token, deposit.amount))
            }
            Call::TopUp { index, amount, .. } => {
                let registered = mirror.registered(index)?;
                let token = registered.map_or(0, |registered| registered.token);
                self.approve(contract, mirror, (token, amount))
            }
            _ => Ok(()),
        }
    }
}
